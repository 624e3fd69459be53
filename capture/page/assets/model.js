// The model: what the events say, kept by connection. Records are arrays as encode.go writes them.

// The places of what a frame's record has.
const CONN = 1, NUMBER = 2, TIME = 3, SPAN = 4, DIR = 5, TYPE = 6, FLAGS = 7, STREAM = 8, LENGTH = 9, WSTREAM = 10,
  WCONN = 11, MORE = 12, FIELDS = 13;

// The types and flags that the waterfall knows.
const DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PUSH_PROMISE = 5, GOAWAY = 7, WINDOW_UPDATE = 8;
const END_STREAM = 1;

// The bits of a field; the lowest two are its state.
const STATE = 3, NEVER_INDEXED = 4, HIDDEN = 8;
const stateNames = ['', 'unknown', 'tainted'];

const model = {conns: [], byId: new Map(), frames: 0, base: null, counts: {}, missed: 0};

// connOf is a connection; one whose event is missing is made.
function connOf(id) {
  let c = model.byId.get(id);
  if (!c) {
    c = {
      id, info: {client: '', server: '', protocol: 'unknown'}, frames: [], rows: [], byStream: new Map(), stalls: [],
      findings: [], gaps: [], goaways: [], end: null, t0: Infinity, t1: -Infinity, worst: -1, octets: [0, 0], version: 0,
      curves: [newCurve(), newCurve()], early: new Map(),
    };
    model.byId.set(id, c);
    model.conns.push(c);
  }
  return c;
}

// A curve is a window by time: points in the order of time, each valid until the next one.
function newCurve() { return {t: [], v: []}; }

// addPoint adds a point. Times of the two directions of a live connection may be out of order by
// little.
function addPoint(curve, t, v) {
  if (v === null || t === null) return;
  curve.t.push(Math.max(t, curve.t.at(-1) ?? t));
  curve.v.push(v);
}

// addInOrder adds a frame to those that are in the order of time.
function addInOrder(list, f) {
  let i = list.length;
  while (i > 0 && list[i - 1][TIME] > f[TIME]) i--;
  if (i === list.length) list.push(f); else list.splice(i, 0, f);
}

// touch widens the time of a connection.
function touch(c, ...times) {
  for (const t of times) {
    if (t === null) continue;
    if (t < c.t0) c.t0 = t;
    if (t > c.t1) c.t1 = t;
  }
  c.version++;
}

// rowOf is the row of a stream, made where there is none.
function rowOf(c, stream, start) {
  let r = c.byStream.get(stream);
  if (!r) {
    r = {
      stream, conn: c, frames: [], data: [], start, reqEnd: null, resp: null, firstData: null, end: start, last: start,
      method: '', path: '', authority: '', scheme: '', status: 0, interim: [], pushed: false, parent: 0, resetBy: '',
      resetCode: '', resetAt: null, complete: false, stalls: [], findings: [], info: null, body: [0, 0], worst: -1,
      curves: [newCurve(), newCurve()],
    };
    c.byStream.set(stream, r);
    c.rows.push(r);
    const early = c.early.get(stream);
    if (early) early.forEach(([list, x]) => attach(r, list, x));
    c.early.delete(stream);
  }
  return r;
}

// attach adds a stall or a finding to the row of its stream, or keeps it until there is one.
function attachTo(c, list, x) {
  const row = c.byStream.get(x.stream);
  if (row) {
    attach(row, list, x);
  } else if (x.stream) {
    if (!c.early.has(x.stream)) c.early.set(x.stream, []);
    c.early.get(x.stream).push([list, x]);
  }
}

function attach(row, list, x) {
  row[list].push(x);
  if (list === 'findings') row.worst = Math.max(row.worst, x.severity);
}

// detail is the value of a name among the pairs of a frame.
function detail(f, name) {
  const pairs = f[MORE];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if (pairs[i] === name) return pairs[i + 1];
  }
  return undefined;
}

const adders = {
  c(r) {
    const c = connOf(r[1]);
    c.info = r[3];
    c.time = r[2];
    touch(c, r[2]);
    if (c.info.protocol === 'h2' && !c.info.startMissing) c.curves.forEach((curve) => addPoint(curve, r[2], 65535));
  },
  f(r) { addFrame(connOf(r[CONN]), r); },
  r(r) { addRequest(connOf(r[1]), r); },
  s(r) {
    const c = connOf(r[1]);
    const s = {conn: c, stream: r[2], dir: r[3], window: r[4], start: r[5], end: r[6], endedBy: r[7], frame: r[8],
      periods: r[9], blocked: r[10]};
    c.stalls.push(s);
    attachTo(c, 'stalls', s);
    touch(c, s.start, s.end);
  },
  x(r) {
    const c = connOf(r[1]);
    const x = {conn: c, stream: r[2], frame: r[3], time: r[4], dir: r[5], rule: r[6], section: r[7], severity: r[8],
      text: r[9]};
    c.findings.push(x);
    c.worst = Math.max(c.worst, x.severity);
    attachTo(c, 'findings', x);
    touch(c, x.time);
  },
  g(r) {
    const c = connOf(r[1]);
    c.gaps.push({conn: c, time: r[2], dir: r[3], octets: r[4], reason: r[5], text: r[6]});
    touch(c, r[2]);
  },
  m(r) {
    const [, id, stream, time, dir, line, fields, trailer, problems] = r;
    const more = ['line', line];
    if (trailer) more.push('section', 'trailer');
    problems.forEach((p) => more.push('problem', p));
    const c = connOf(id);
    addFrame(c, ['f', id, 0, time, 0, dir, dir ? 'RESPONSE' : 'REQUEST', 0, stream, 0, null, null, more, fields]);
  },
  e(r) {
    const c = connOf(r[1]);
    c.end = {time: r[2], how: r[3], frames: r[4], requests: r[5], octets: r[6], lost: r[7]};
    touch(c, r[2]);
  },
};

// addRecord takes an event.
function addRecord(r) {
  const add = adders[r[0]];
  if (add) add(r);
}

function addFrame(c, f) {
  model.frames++;
  c.frames.push(f);
  c.octets[f[DIR]] += f[LENGTH];
  touch(c, f[TIME] - f[SPAN], f[TIME]);
  const sender = f[TYPE] === WINDOW_UPDATE ? 1 - f[DIR] : f[DIR];
  addPoint(c.curves[sender], f[TIME], f[WCONN]);
  if (f[TYPE] === GOAWAY) c.goaways.push(f);
  const row = f[STREAM] && (opensRow(f) ? rowOf(c, f[STREAM], f[TIME] - f[SPAN]) : c.byStream.get(f[STREAM]));
  if (!row) return;
  row.frames.push(f);
  row.last = Math.max(row.last, f[TIME]);
  addPoint(row.curves[sender], f[TIME], f[WSTREAM]);
  if (f[FIELDS] && f[TYPE] !== PUSH_PROMISE) rowFields(row, f);
  rowFrame(row, f);
}

// opensRow reports whether a frame is one that a stream's row can begin with. PRIORITY is none: it
// may be about a stream that is never used.
function opensRow(f) {
  return f[TYPE] === HEADERS || f[TYPE] === DATA || f[TYPE] === PUSH_PROMISE || typeof f[TYPE] === 'string';
}

// rowFrame has a row know what a frame of its stream says about times.
function rowFrame(row, f) {
  const ends = (f[TYPE] === DATA || f[TYPE] === HEADERS) && f[FLAGS] & END_STREAM;
  switch (f[TYPE]) {
    case DATA:
      addInOrder(row.data, f);
      row.body[f[DIR]] += detail(f, 'data') || 0;
      if (f[DIR] === 1 && row.firstData === null) row.firstData = f[TIME] - f[SPAN];
      break;
    case RST_STREAM:
      row.resetAt = f[TIME];
      row.resetBy = sideNames[f[DIR]];
      row.resetCode = detail(f, 'error code') || '';
      break;
    case PUSH_PROMISE: {
      const promised = detail(f, 'promised stream');
      if (!promised) break;
      const pushed = rowOf(row.conn, promised, f[TIME] - f[SPAN]);
      pushed.pushed = true;
      pushed.parent = row.stream;
      pushed.reqEnd = f[TIME];
      pushed.frames.push(f);
      if (f[FIELDS]) rowFields(pushed, f);
      break;
    }
  }
  if (ends && f[DIR] === 0) row.reqEnd = f[TIME];
  if (f[DIR] === 1 || row.reqEnd === null) row.end = Math.max(row.end, f[TIME]);
  if (ends && f[DIR] === 1) row.complete = true;
}

// rowFields takes the method, the target and the status from the fields of a block. A response that
// has its final status has its header section; what comes later is trailers.
function rowFields(row, f) {
  if (f[FIELDS].length === 0 || typeof f[TYPE] === 'string') return;
  for (const [name, value] of f[FIELDS]) {
    switch (name) {
      case ':method': row.method = value; break;
      case ':path': row.path = value; break;
      case ':authority': row.authority = value; break;
      case ':scheme': row.scheme = value; break;
      case ':status':
        if (/^1\d\d$/.test(value)) {
          row.interim.push(+value);
        } else if (row.resp === null) {
          row.status = +value || 0;
          row.resp = f[TIME];
        }
    }
  }
}

function addRequest(c, r) {
  const [, , stream, start, reqEnd, resp, firstData, end, info] = r;
  const row = rowOf(c, stream, start);
  row.info = info;
  row.start = start === null ? row.start : start;
  row.reqEnd = reqEnd;
  row.resp = resp;
  row.firstData = firstData;
  row.end = end === null ? row.end : end;
  row.last = Math.max(row.last, row.end);
  for (const k of ['method', 'path', 'authority', 'scheme', 'status', 'pushed', 'parent', 'resetBy', 'resetCode']) {
    if (info[k]) row[k] = info[k];
  }
  row.interim = info.interim || row.interim;
  row.complete = !!info.complete;
  row.body = info.body;
  if (row.resetBy && row.resetAt === null) row.resetAt = row.end;
  if (info.chunks && row.data.length === 0) {
    for (let i = 0; i + 1 < info.chunks.length; i += 2) {
      row.data.push(['f', c.id, 0, info.chunks[i], 0, 1, DATA, 0, stream, info.chunks[i + 1], null, null, []]);
    }
  }
  touch(c, start, row.end);
}

// frameByNumber is the frame of a connection with a number, or undefined if it is not in the page.
function frameByNumber(c, number) {
  if (!number) return undefined;
  const f = c.frames[search(c.frames, (x) => x[NUMBER] >= number)];
  return f && f[NUMBER] === number ? f : undefined;
}

// target is what a row requests, for people.
function target(row) {
  if (row.method === 'CONNECT' && !row.path) return row.authority;
  return row.path || (row.info && row.info.authority) || (row.method ? '' : '(request not seen)');
}

// waitOf is what a request waited for: stream window, connection window, concurrency, server, network.
function waitOf(row) { return (row.info && row.info.wait) || [0, 0, 0, 0, 0]; }
