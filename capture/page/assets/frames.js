// The table of frames: only the rows in sight are elements. Beside it, what the selected frame has.

const FRAME = 22; // height of a row

const frameList = {
  shown: [], pool: [],
  follow: false, // a live page keeps the last frame in sight, until somebody scrolls away from it
  top: 0, // where the list is scrolled to, as far as is known: by the page, or by somebody
  to: null, // where it is to be scrolled to with the next picture in which it is in sight; null: nowhere
  back: null, // the place in the connection's list while that of a row is shown
};

const frameColumns = ['number', 'time', 'side', 'type', 'stream', 'flags', 'length', 'info'];

// summary is a frame in a few words.
function summary(f) {
  if (f[FIELDS] && typeof f[TYPE] !== 'string') {
    const get = (name) => (f[FIELDS].find((x) => x[0] === name) || [])[1];
    const status = get(':status');
    if (status !== undefined) return status + ' ' + (get('content-type') || '');
    const method = get(':method');
    if (method !== undefined) return method + ' ' + (get(':path') || get(':authority') || '');
    return f[FIELDS].map((x) => x[0] + ': ' + x[1]).join(', ').slice(0, 200);
  }
  const pairs = [];
  for (let i = 0; i + 1 < f[MORE].length; i += 2) {
    if (f[TYPE] === DATA && f[MORE][i] === 'data') continue;
    pairs.push(f[MORE][i].replace(/^SETTINGS_/, '') + ' ' + f[MORE][i + 1]);
  }
  return pairs.join(' · ').slice(0, 200);
}

// classOf is the class of a frame's type, which has its colour.
function classOf(f) {
  if (typeof f[TYPE] === 'string') return 't-HEADERS';
  return 't-' + typeName(f[TYPE]).replace(/_0x.*/, '');
}

function paintFrames() {
  const box = $('fr');
  const list = frameList.shown;
  $('fr-space').style.height = list.length * FRAME + 'px';
  if (box.clientHeight > 0) scrollFrames(box, list);
  $('fr-grid').setAttribute('aria-rowcount', list.length + 1);
  const at = view.toFrame && !$('panel-frames').hidden ? list.indexOf(view.toFrame) : -1;
  if (at >= 0) scrollInto(box, at * FRAME, FRAME, 0);
  view.toFrame = null;
  const first = Math.max(0, Math.floor(box.scrollTop / FRAME) - 2);
  const count = Math.min(list.length - first, Math.ceil(box.clientHeight / FRAME) + 4);
  while (frameList.pool.length < count) frameList.pool.push(newFrameRow());
  frameList.pool.forEach((r, i) => {
    r.hidden = i >= count;
    if (i < count) fillFrameRow(r, list[first + i], first + i);
  });
  const active = frameList.pool.find((r) => !r.hidden && r.getAttribute('aria-selected') === 'true');
  if (active) $('fr-grid').setAttribute('aria-activedescendant', active.id); else $('fr-grid').removeAttribute('aria-activedescendant');
  $('fr-empty').hidden = list.length > 0;
  paintScope();
}

// scrollFrames has the list where it belongs.
function scrollFrames(box, list) {
  if (!view.scope && list.length * FRAME <= box.clientHeight) frameList.follow = meta.live;
  const to = following() ? box.scrollHeight : frameList.to;
  frameList.to = null;
  if (to === null) return;
  box.scrollTop = to;
  frameList.top = box.scrollTop;
}

// following reports whether the end of the list is kept in sight: not where somebody reads a frame.
function following() { return frameList.follow && !view.frame && !view.scope; }

// onFramesScroll has a live page follow no more where somebody scrolls up, however little, and again
// where somebody scrolls down to the end. What the page has scrolled, and a box of another height,
// say nothing of what somebody wants.
function onFramesScroll() {
  const box = $('fr');
  const by = box.scrollTop - frameList.top;
  const below = box.scrollHeight - box.clientHeight - box.scrollTop;
  frameList.top = box.scrollTop;
  if (!view.scope && by > 0) frameList.follow = meta.live && below <= FRAME;
  if (!view.scope && by < 0 && below > 1) frameList.follow = false;
  redraw('frames');
}

// framePlace is which frame is the first in sight, and how much of it is above; null where the list
// is not in sight, or is about to be elsewhere.
function framePlace() {
  const box = $('fr');
  const at = Math.floor(box.scrollTop / FRAME);
  if (box.clientHeight === 0 || frameList.to !== null || following() || !frameList.shown[at]) return null;
  return {at, frame: frameList.shown[at], above: box.scrollTop - at * FRAME};
}

// toPlace has the frame of a place be again where it was in sight; where it is forgotten, the oldest.
function toPlace(place) {
  const at = frameList.shown.indexOf(place.frame);
  frameList.to = at < 0 ? 0 : at * FRAME + place.above;
}

function newFrameRow() {
  const r = el('div', {class: 'fr-row', role: 'row', id: 'fr-' + frameList.pool.length});
  for (const c of frameColumns) r.append(el('span', {class: 'c-' + c, role: 'gridcell'}));
  r.addEventListener('click', () => selectFrame(r.frame));
  $('fr-space').append(r);
  return r;
}

function fillFrameRow(r, f, index) {
  r.style.transform = 'translateY(' + index * FRAME + 'px)';
  const selected = view.frame === f;
  if (r.frame === f && r.version === view.conn.findings.length) {
    setSelected(r, selected);
    return;
  }
  r.frame = f;
  r.version = view.conn.findings.length;
  r.setAttribute('aria-rowindex', index + 2);
  const cells = r.children;
  cells[0].textContent = f[NUMBER] || index + 1;
  cells[1].textContent = formatClock(f[TIME]);
  cells[2].textContent = arrows[f[DIR]];
  cells[2].setAttribute('aria-label', 'from the ' + sideNames[f[DIR]]);
  cells[3].textContent = typeName(f[TYPE]);
  cells[4].textContent = f[STREAM];
  cells[5].textContent = flagNames(f[TYPE], f[FLAGS]).join(' ');
  cells[6].textContent = typeof f[TYPE] === 'string' ? '' : formatCount(f[LENGTH]);
  cells[7].textContent = summary(f);
  const worst = worstOf(f);
  r.className = 'fr-row ' + classOf(f) + ' ' + sideNames[f[DIR]] + (index % 2 ? ' odd' : '') +
    (worst >= 0 ? ' has-' + severityNames[worst] : '');
  setSelected(r, selected);
}

function setSelected(r, selected) { r.setAttribute('aria-selected', String(selected)); }

// worstOf is the severity of the worst finding about a frame, or -1.
function worstOf(f) {
  const c = view.conn;
  if (c.marked === undefined || c.marked.length !== c.findings.length) {
    c.marked = {length: c.findings.length, by: new Map()};
    for (const x of c.findings) {
      if (x.frame) c.marked.by.set(x.frame, Math.max(x.severity, c.marked.by.get(x.frame) ?? -1));
    }
  }
  return c.marked.by.get(f[NUMBER]) ?? -1;
}

function selectFrame(f) {
  if (!f) return;
  view.frame = f;
  const row = view.conn.byStream.get(f[STREAM]);
  if (row && view.row !== row) {
    view.row = row;
    view.toRow = row;
  }
  reveal(f[TIME]);
  view.toFrame = f;
  redraw('frames', 'detail', 'waterfall', 'windows');
}

// moveFrame selects the frame that is by places away from the selected one.
function moveFrame(by) {
  const list = frameList.shown;
  const at = view.frame ? list.indexOf(view.frame) : -1;
  selectFrame(list[clamp(at < 0 ? (by < 0 ? list.length - 1 : 0) : at + by, 0, list.length - 1)]);
}

// scrollInto scrolls a box as little as it takes to show a stretch of it.
function scrollInto(box, top, height, head) {
  const room = box.clientHeight - head;
  if (top < box.scrollTop) {
    box.scrollTop = Math.max(0, top - height * 2);
  } else if (top + height > box.scrollTop + room) {
    box.scrollTop = top + height * 3 - room;
  }
}

// paintScope says whose frames are listed.
function paintScope() {
  const {scope} = view;
  $('scope-clear').hidden = !scope;
  $('scope').textContent = scope ? 'Stream ' + scope.stream + ': ' + scope.method + ' ' + target(scope)
    : 'All frames of the connection';
}

// paintDetail shows what the selected frame has.
function paintDetail() {
  const box = $('detail');
  const f = view.frame;
  if (!f) {
    put(box, el('p', {class: 'empty'}, 'Select a frame to see its fields.'));
    return;
  }
  const kind = typeName(f[TYPE]);
  const rows = [['from', sideNames[f[DIR]]], ['time', formatClock(f[TIME]) + ' ms']];
  if (f[SPAN] > 0) rows.push(['arrived within', formatDuration(f[SPAN])]);
  if (typeof f[TYPE] !== 'string') {
    rows.push(['stream', f[STREAM]], ['length', formatCount(f[LENGTH]) + ' octets']);
    rows.push(['flags', flagNames(f[TYPE], f[FLAGS]).join(', ') || 'none']);
  }
  for (let i = 0; i + 1 < f[MORE].length; i += 2) {
    const v = f[MORE][i + 1];
    rows.push([f[MORE][i], typeof v === 'number' ? formatCount(v) : v || '(empty)']);
  }
  const taker = f[TYPE] === WINDOW_UPDATE ? 1 - f[DIR] : f[DIR];
  if (f[WSTREAM] !== null) rows.push(['stream window', windowLeft(f[WSTREAM], taker)]);
  if (f[WCONN] !== null) rows.push(['connection window', windowLeft(f[WCONN], taker)]);
  put(box,
    el('h3', {class: classOf(f)}, kind, el('small', {}, f[NUMBER] ? ' frame ' + f[NUMBER] : '')),
    ...view.conn.findings.filter((x) => x.frame && x.frame === f[NUMBER]).map((x) => findingText(x, 'p')),
    el('dl', {}, ...rows.flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)])),
    f[FIELDS] ? fieldTable(f[FIELDS]) : null,
  );
}

// windowLeft is what a side may send behind a frame.
function windowLeft(n, side) { return formatCount(n) + ' for the ' + sideNames[side]; }

// fieldTable is the lines of a header section; what is not known is marked.
function fieldTable(fields) {
  const rows = fields.map(([name, value, bits, index]) => {
    const state = stateNames[bits & STATE];
    return el('tr', {class: state},
      el('th', {scope: 'row'}, name || (state ? '(unknown)' : '')),
      el('td', {},
        bits & HIDDEN ? badge('hidden', 'the value is a secret and is not in this page') : value,
        state === 'unknown' ? badge('unknown', 'index ' + index + ' of a table whose beginning is not in the capture') : null,
        state === 'tainted' ? badge('tainted', 'octets were lost before it: it may be something else') : null,
        bits & NEVER_INDEXED ? badge('never indexed', 'RFC 7541 §7.1.3') : null));
  });
  return el('table', {class: 'fields', 'aria-label': 'Fields'}, el('tbody', {}, ...rows));
}

function badge(text, title) { return el('span', {class: 'badge b-' + text.replace(' ', '-'), title}, text); }
