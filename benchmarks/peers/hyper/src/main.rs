//! The site of the comparison on hyper, in clear, with a runtime of one thread:
//! it has one CPU. The first argument is the port, the second
//! SETTINGS_MAX_CONCURRENT_STREAMS.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::body::{Bytes, HttpBody};
use hyper::header::{HeaderName, HeaderValue, CONTENT_TYPE};
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server};

const ANSWER: &[u8] = b"Hello, World!";
static LARGE: [u8; 10 << 20] = [b'.'; 10 << 20];

/// The same as in Go's site.FieldList.
fn fields() -> Vec<(HeaderName, HeaderValue)> {
    (1..=20)
        .map(|i| {
            let name = format!("x-field-{:02}", i);
            let value = format!("the value of field {:02}", i);
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(&value).unwrap(),
            )
        })
        .collect()
}

async fn answer(
    req: Request<Body>,
    fields: &'static [(HeaderName, HeaderValue)],
) -> Result<Response<Body>, Infallible> {
    let mut more: &[(HeaderName, HeaderValue)] = &[];
    let body = match req.uri().path() {
        "/1m" => Bytes::from_static(&LARGE[..1 << 20]),
        "/10m" => Bytes::from_static(&LARGE),
        "/upload" => {
            let mut body = req.into_body();
            while let Some(Ok(_)) = body.data().await {}
            Bytes::from_static(ANSWER)
        }
        "/fields" => {
            more = fields;
            Bytes::from_static(ANSWER)
        }
        _ => Bytes::from_static(ANSWER),
    };
    let mut resp = Response::new(Body::from(body));
    let headers = resp.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    for (name, value) in more {
        headers.insert(name.clone(), value.clone());
    }
    Ok(resp)
}

fn main() {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().unwrap().parse().unwrap();
    let max_streams: u32 = args.next().unwrap().parse().unwrap();
    let fields: &'static [(HeaderName, HeaderValue)] = Box::leak(fields().into_boxed_slice());

    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let service = make_service_fn(|_| async move {
            Ok::<_, Infallible>(service_fn(move |req| answer(req, fields)))
        });
        Server::bind(&SocketAddr::from(([127, 0, 0, 1], port)))
            .http2_only(true)
            .http2_max_concurrent_streams(max_streams)
            .tcp_nodelay(true)
            .serve(service)
            .await
            .unwrap();
    });
}
