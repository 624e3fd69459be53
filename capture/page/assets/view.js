// The view: which connection, row, frame and stretch of time are shown. What changes it calls redraw.

const view = {
  conn: null, // the connection that is shown
  row: null, // the row that is selected
  scope: null, // the row whose frames are listed; null lists those of the connection
  frame: null, // the frame that is selected
  t0: 0, t1: 1, // the stretch of time, in nanoseconds
  fitted: true, // the stretch is all there is, and grows with it
  hover: -1, // index of the row under the pointer
  cursor: null, // time under the pointer
  filter: null, // compiled, see filter.js
  rows: [], // rows that the filter lets through
  tab: 'frames',
  toRow: null, toFrame: null, // what is to be scrolled into sight with the next picture
};

// The geometry that the waterfall and the windows share.
const layout = {label: 340, right: 14, width: 800};

const painters = new Map(); // what is drawn, by name
const dirty = new Set();
let scheduled = false;

// redraw has parts of the page drawn before the next picture; without names, all of them.
function redraw(...names) {
  for (const n of names.length ? names : painters.keys()) dirty.add(n);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(paint);
}

function paint() {
  scheduled = false;
  const now = [...painters.keys()].filter((n) => dirty.has(n));
  dirty.clear();
  for (const n of now) painters.get(n)();
}

// xOf is where a time is, and timeAt which time is at x.
function xOf(t) {
  return layout.label + (t - view.t0) / (view.t1 - view.t0) * (layout.width - layout.label - layout.right);
}

function timeAt(x) {
  return view.t0 + (x - layout.label) / (layout.width - layout.label - layout.right) * (view.t1 - view.t0);
}

// extent is all of a connection's time, with a little room for labels.
function extent(c) {
  if (!c || c.t0 > c.t1) return [0, 1e6];
  const span = Math.max(c.t1 - c.t0, 1000);
  return [c.t0 - span * 0.01, c.t1 + span * 0.1];
}

function fit() {
  [view.t0, view.t1] = extent(view.conn);
  view.fitted = true;
  redraw('waterfall', 'windows');
}

// setRange shows a stretch of time, within bounds: a microsecond, and half as much again as there is.
function setRange(t0, t1) {
  const [e0, e1] = extent(view.conn);
  const all = e1 - e0;
  const span = clamp(t1 - t0, Math.min(1000, all), all * 1.5);
  const mid = (t0 + t1) / 2;
  const low = clamp(mid - span / 2, e0 - all * 0.25, e1 + all * 0.25 - span);
  view.t0 = low;
  view.t1 = low + span;
  view.fitted = false;
  redraw('waterfall', 'windows');
}

// zoom changes the stretch by a factor around a time.
function zoom(factor, around) {
  const t = around === undefined ? (view.t0 + view.t1) / 2 : around;
  setRange(t - (t - view.t0) * factor, t + (view.t1 - t) * factor);
}

// pan moves the stretch by a part of itself.
function pan(part) {
  const d = (view.t1 - view.t0) * part;
  setRange(view.t0 + d, view.t1 + d);
}

// reveal has a time be in sight.
function reveal(t) {
  if (t === null || (t >= view.t0 && t <= view.t1)) return;
  const half = (view.t1 - view.t0) / 2;
  setRange(t - half, t + half);
}

// showConn shows another connection.
function showConn(c) {
  if (!c || view.conn === c) return;
  Object.assign(view, {conn: c, row: null, scope: null, frame: null, hover: -1});
  $('wf').scrollTop = 0;
  Object.assign(frameList, {follow: false, to: 0});
  applyFilter();
  fit();
  redraw();
}

// selectRow selects a row and has it be in sight.
function selectRow(row, keepFrames) {
  view.row = row;
  if (row && view.scope && !keepFrames) openRow(row);
  view.toRow = row;
  redraw('waterfall', 'windows', 'requests');
}

// openRow lists the frames of a row.
function openRow(row) {
  if (!view.scope) frameList.back = framePlace();
  view.row = row;
  view.scope = row;
  view.frame = null;
  frameList.to = 0;
  showTab('frames');
  applyFilter();
  redraw();
}

// closeRow lists the frames of the connection again.
function closeRow() {
  view.scope = null;
  applyFilter();
  if (frameList.back) toPlace(frameList.back);
  view.toFrame = view.frame;
  redraw();
}

// showFrame goes to a frame: its connection, its row, its place in the list and in time.
function showFrame(c, number, stream, time) {
  showConn(c);
  const row = c.byStream.get(stream) || null;
  const f = frameByNumber(c, number);
  if (view.filter) setFilter('');
  view.row = row;
  view.scope = null;
  view.frame = f || null;
  applyFilter();
  showTab(f ? 'frames' : view.tab);
  view.toRow = row;
  view.toFrame = view.frame;
  reveal(f ? f[TIME] : time);
  redraw();
}
