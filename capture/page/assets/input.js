// Pointer and keyboard.

function moveRow(by) {
  const at = view.rows.indexOf(view.row);
  selectRow(view.rows[clamp(at < 0 ? (by < 0 ? view.rows.length - 1 : 0) : at + by, 0, view.rows.length - 1)] || null);
}

// fitRow shows the time of the selected row.
function fitRow() {
  const r = view.row;
  if (!r) return;
  const span = Math.max(r.end - r.start, 1000);
  setRange(r.start - span * 0.05, r.end + span * 0.25);
}

const pageOf = (box, height) => Math.max(1, Math.floor(box.clientHeight / height) - 2);

const waterfallKeys = {
  ArrowDown: () => moveRow(1), ArrowUp: () => moveRow(-1),
  PageDown: () => moveRow(pageOf($('wf'), ROW)), PageUp: () => moveRow(-pageOf($('wf'), ROW)),
  Home: () => moveRow(-1e9), End: () => moveRow(1e9),
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15),
  '+': () => zoom(0.7), '=': () => zoom(0.7), '-': () => zoom(1 / 0.7),
  0: fit, f: fitRow,
  Enter: () => { if (view.row) { openRow(view.row); $('fr-grid').focus(); } },
};

const frameKeys = {
  ArrowDown: () => moveFrame(1), ArrowUp: () => moveFrame(-1),
  PageDown: () => moveFrame(pageOf($('fr'), FRAME)), PageUp: () => moveFrame(-pageOf($('fr'), FRAME)),
  Home: () => moveFrame(-1e9), End: () => moveFrame(1e9),
  Enter: () => { if (view.frame) $('detail').focus(); },
};

const connKeys = {
  ArrowDown: () => moveConn(1), ArrowUp: () => moveConn(-1), Home: () => moveConn(-1e9), End: () => moveConn(1e9),
};

const pageKeys = {
  '/': () => { $('filter').focus(); $('filter').select(); },
  '?': () => toggleHelp(true),
  '[': () => moveConn(-1), ']': () => moveConn(1),
  n: () => moveFinding(1), p: () => moveFinding(-1),
  t: () => { showTab('requests'); redraw(); }, d: toggleTheme,
  1: () => showTab('frames'), 2: () => showTab('findings'), 3: () => showTab('stalls'), 4: () => showTab('requests'),
  Escape: () => {
    if (view.scope) {
      closeRow();
    } else if (view.filter) {
      setFilter('');
    } else {
      Object.assign(view, {row: null, frame: null});
      redraw();
    }
  },
};

function moveConn(by) {
  const at = model.conns.indexOf(view.conn);
  const c = model.conns[clamp(at + by, 0, model.conns.length - 1)];
  showConn(c);
  const item = c && $('conn-' + c.id);
  if (item) item.scrollIntoView({block: 'nearest'});
}

let findingAt = -1;

// moveFinding goes to the next or the one before of the connection's findings.
function moveFinding(by) {
  const list = view.conn ? view.conn.findings : [];
  if (list.length === 0) return;
  findingAt = (findingAt + by + list.length) % list.length;
  const x = list[findingAt];
  showFrame(x.conn, x.frame, x.stream, x.time);
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (!$('help').hidden) {
    if (e.key === 'Escape' || e.key === '?') { toggleHelp(false); e.preventDefault(); }
    return;
  }
  const at = document.activeElement;
  if (at === $('filter')) {
    if (e.key === 'Escape' || e.key === 'Enter') {
      setFilter(e.key === 'Escape' ? '' : $('filter').value);
      $('wf').focus();
      e.preventDefault();
    }
    return;
  }
  const keys = at === $('fr-grid') ? frameKeys : at === $('conns') ? connKeys
    : at === $('wf') || at === document.body || at === null ? waterfallKeys : {};
  const act = keys[e.key] || pageKeys[e.key];
  if (!act) return;
  e.preventDefault();
  act();
}

// onTabKey moves between the tabs, as lists of tabs do.
function onTabKey(e) {
  const by = {ArrowRight: 1, ArrowLeft: -1}[e.key];
  if (!by) return;
  const next = tabs[(tabs.indexOf(view.tab) + by + tabs.length) % tabs.length];
  showTab(next);
  $('tab-' + next).focus();
  e.preventDefault();
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  readPalette();
  redraw();
}

function toggleHelp(on) {
  $('help').hidden = !on;
  if (on) $('help-close').focus(); else $('wf').focus();
}

// drag follows a pointer that is held down until it is let go.
function drag(e, move, done) {
  const target = e.currentTarget;
  target.setPointerCapture(e.pointerId);
  const stop = (up) => {
    target.removeEventListener('pointermove', move);
    target.removeEventListener('pointerup', stop);
    target.removeEventListener('pointercancel', stop);
    if (done) done(up);
  };
  target.addEventListener('pointermove', move);
  target.addEventListener('pointerup', stop);
  target.addEventListener('pointercancel', stop);
}

// localPoint is where a pointer is in the waterfall or in the windows.
function localPoint(e, box) {
  const r = box.getBoundingClientRect();
  return [e.clientX - r.left, e.clientY - r.top];
}

// onDown pans with the pointer; on the axis it zooms to what is marked. A click selects.
function onDown(e) {
  if (e.button !== 0) return;
  const box = e.currentTarget;
  const [x, y] = localPoint(e, box);
  if (x >= box.clientWidth) return; // the scroll bar
  const range = [view.t0, view.t1];
  const scroll = box.scrollTop;
  let moved = false;
  const brush = box === $('wf') && y < AXIS && x > layout.label;
  const move = (m) => {
    const [mx, my] = localPoint(m, box);
    if (!moved && Math.abs(mx - x) + Math.abs(my - y) < 4) return;
    moved = true;
    hideTip();
    if (brush) {
      showBrush(x, mx);
    } else {
      const d = (range[1] - range[0]) * (x - mx) / (layout.width - layout.label - layout.right);
      if (Math.abs(mx - x) > 2) setRange(range[0] + d, range[1] + d);
      box.scrollTop = scroll + y - my;
    }
  };
  drag(e, move, (up) => {
    $('brush').hidden = true;
    const [ux] = localPoint(up, box);
    if (brush && moved) {
      setRange(timeAt(Math.max(layout.label, Math.min(x, ux))), timeAt(Math.max(x, ux)));
    } else if (!moved && box === $('wf') && up.type === 'pointerup') {
      const i = rowAt(y);
      if (i >= 0) openRow(view.rows[i]);
    }
  });
}

function showBrush(x0, x1) {
  const b = $('brush');
  b.hidden = false;
  b.style.left = Math.max(layout.label, Math.min(x0, x1)) + 'px';
  b.style.width = Math.abs(x1 - x0) + 'px';
}

// onWheel zooms around the pointer with Ctrl, or over the axis and the windows; else it scrolls rows
// and pans.
function onWheel(e) {
  const box = e.currentTarget;
  const [x, y] = localPoint(e, box);
  const step = e.deltaMode === 1 ? 18 : 1;
  const overTime = x > layout.label && (box === $('win') || y < AXIS);
  if (e.ctrlKey || e.metaKey || (overTime && Math.abs(e.deltaY) > Math.abs(e.deltaX))) {
    e.preventDefault();
    zoom(Math.exp(clamp(e.deltaY * step, -300, 300) * 0.0022), timeAt(Math.max(x, layout.label)));
  } else if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey) {
    e.preventDefault();
    pan((e.deltaX || e.deltaY) * step / layout.width);
  }
}

function onHover(e) {
  const box = e.currentTarget;
  const [x, y] = localPoint(e, box);
  const i = box === $('wf') && x < box.clientWidth ? rowAt(y) : -1;
  view.hover = i;
  view.cursor = x > layout.label ? timeAt(x) : null;
  if (i >= 0 && e.buttons === 0) showTip(e, rowTip(view.rows[i], timeAt(x))); else hideTip();
  redraw('waterfall', 'windows');
}

function onLeave() {
  view.hover = -1;
  view.cursor = null;
  hideTip();
  redraw('waterfall', 'windows');
}

// onSplit moves the border between the waterfall and the panel below it, by pointer or arrow keys.
function setSplit(part) {
  const p = clamp(part, 0.15, 0.85);
  $('main').style.setProperty('--split', p.toFixed(3));
  $('split').setAttribute('aria-valuenow', Math.round(p * 100));
  redraw();
}

function splitNow() { return +$('split').getAttribute('aria-valuenow') / 100; }

function listen() {
  addEventListener('keydown', onKey);
  addEventListener('resize', () => redraw());
  for (const box of [$('wf'), $('win')]) {
    box.addEventListener('pointerdown', onDown);
    box.addEventListener('pointermove', onHover);
    box.addEventListener('pointerleave', onLeave);
    box.addEventListener('wheel', onWheel, {passive: false});
    box.addEventListener('dblclick', (e) => { if (localPoint(e, box)[0] > layout.label) fit(); });
  }
  $('wf').addEventListener('scroll', () => redraw('waterfall'));
  $('fr').addEventListener('scroll', onFramesScroll);
  let timer = 0;
  $('filter').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => setFilter($('filter').value), 120);
  });
  for (const t of tabs) $('tab-' + t).addEventListener('click', () => showTab(t));
  $('tabs').addEventListener('keydown', onTabKey);
  $('scope-clear').addEventListener('click', closeRow);
  $('theme').addEventListener('click', toggleTheme);
  $('help-open').addEventListener('click', () => toggleHelp(true));
  $('help-close').addEventListener('click', () => toggleHelp(false));
  $('fit').addEventListener('click', fit);
  $('zoom-in').addEventListener('click', () => zoom(0.6));
  $('zoom-out').addEventListener('click', () => zoom(1 / 0.6));
  $('split').addEventListener('pointerdown', (e) => drag(e, (m) => {
    const r = $('main').getBoundingClientRect();
    setSplit((m.clientY - r.top) / r.height);
  }));
  $('split').addEventListener('keydown', (e) => {
    const by = {ArrowUp: -0.04, ArrowDown: 0.04}[e.key];
    if (by) { setSplit(splitNow() + by); e.preventDefault(); e.stopPropagation(); }
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readPalette(); redraw(); });
  addEventListener('beforeprint', beforePrint);
  addEventListener('afterprint', afterPrint);
}
