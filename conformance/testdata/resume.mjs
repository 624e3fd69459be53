// resume.mjs makes two connections, the second of which resumes the session of the first: node resume.mjs URL VERSION.
// It prints whether the second one did.

import http2 from "node:http2";

const [, , url, version] = process.argv;

let session;
for (let i = 0; i < 2; i++) {
  const client = http2.connect(url, { rejectUnauthorized: false, minVersion: version, maxVersion: version, session });
  const ticket = new Promise((resolve) => client.socket.once("session", resolve));
  await new Promise((resolve, reject) => {
    const req = client.request({ ":path": "/hello" });
    req.on("error", reject);
    req.on("end", resolve);
    req.resume();
  });
  if (i === 0) session = await ticket;
  else console.log(client.socket.isSessionReused());
  await new Promise((resolve) => client.close(resolve));
}
