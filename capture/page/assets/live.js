// Events of a running program, as they come.

let pending = 0;

// connect reads events until the server is gone for good; the browser itself reconnects.
function connect() {
  const source = new EventSource('events');
  source.addEventListener('open', () => setLive('live', 'live'));
  source.addEventListener('error', () => {
    setLive('off', source.readyState === EventSource.CLOSED ? 'disconnected' : 'reconnecting …');
  });
  source.addEventListener('begin', reset);
  source.addEventListener('missed', (e) => { model.missed = +e.data; });
  source.addEventListener('slow', (e) => {
    source.close();
    setLive('off', 'this page fell ' + formatCount(+e.data) + ' events behind: reload it');
  });
  source.addEventListener('message', (e) => {
    for (const line of e.data.split('\n')) addRecord(JSON.parse(line));
    if (!pending) pending = setTimeout(refresh, view.conn ? 100 : 0);
  });
}

function setLive(state, text) {
  $('live').hidden = false;
  $('live').className = state;
  $('live-text').textContent = text;
}

// reset forgets all: a server that has begun anew sends its events from the start.
function reset() {
  Object.assign(model, {conns: [], byId: new Map(), frames: 0, missed: 0});
  Object.assign(view, {conn: null, row: null, scope: null, frame: null, rows: []});
  frameList.shown = [];
  redraw();
}

// refresh shows what has come.
function refresh() {
  pending = 0;
  const place = framePlace();
  trim();
  if (!view.conn && model.conns.length) {
    showConn(model.conns[model.conns.length - 1]);
    frameList.follow = true;
  }
  applyFilter();
  if (place && frameList.shown[place.at] !== place.frame) toPlace(place); // some were forgotten
  if (view.fitted) fit();
  redraw();
}

// trim forgets the oldest frames and rows where there are more frames than the page may have.
function trim() {
  const ended = model.conns.filter((c) => c.end && c !== view.conn);
  for (const c of ended.slice(0, Math.max(0, model.conns.length - maxConns))) forget(c);
  const max = meta.maxFrames || 50000;
  if (model.frames <= max * 1.2) return;
  for (const c of [...model.conns]) {
    if (model.frames <= max) return;
    if (c.end && c !== view.conn) forget(c);
  }
  for (const c of model.conns) {
    if (model.frames <= max) return;
    trimConn(c, Math.min(c.frames.length, model.frames - max));
  }
}

function forget(c) {
  model.conns.splice(model.conns.indexOf(c), 1);
  model.byId.delete(c.id);
  model.frames -= c.frames.length;
}

function trimConn(c, n) {
  const removed = c.frames.splice(0, n);
  model.frames -= removed.length;
  if (removed.length === 0) return;
  const from = removed[removed.length - 1][TIME];
  c.t0 = from;
  c.rows = c.rows.filter((r) => r.last > from);
  c.byStream = new Map(c.rows.map((r) => [r.stream, r]));
  for (const r of c.rows) {
    r.frames = r.frames.filter((f) => f[TIME] > from);
    r.data = r.data.filter((f) => f[TIME] > from);
  }
  c.stalls = c.stalls.filter((s) => s.end > from);
  c.findings = c.findings.filter((x) => x.time > from);
  for (const curve of [...c.curves, ...c.rows.flatMap((r) => r.curves)]) {
    const cut = Math.max(0, search(curve.t, (t) => t > from) - 1);
    curve.t.splice(0, cut);
    curve.v.splice(0, cut);
  }
  if (view.row && !c.byStream.has(view.row.stream)) Object.assign(view, {row: null, scope: null});
  if (view.frame && view.frame[TIME] <= from) view.frame = null;
}
