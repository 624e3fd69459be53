// The tooltip: what is under the pointer.

function rowAt(y) {
  if (y < AXIS) return -1;
  const i = Math.floor((y - AXIS + $('wf').scrollTop) / ROW);
  return i < view.rows.length ? i : -1;
}

// showTip shows lines of text beside the pointer.
function showTip(e, lines) {
  const tip = $('tip');
  put(tip, ...lines);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = e.clientX + 16 + box.width > innerWidth ? e.clientX - box.width - 12 : e.clientX + 16;
  const y = e.clientY + 18 + box.height > innerHeight ? e.clientY - box.height - 12 : e.clientY + 18;
  tip.style.left = Math.max(4, x) + 'px';
  tip.style.top = Math.max(4, y) + 'px';
}

function hideTip() { $('tip').hidden = true; }

// rowTip is a row in words.
function rowTip(row, t) {
  const w = waitOf(row);
  const lines = [['started', formatClock(row.start) + ' ms'], ['took', formatDuration(row.end - row.start)]];
  if (row.reqEnd !== null && row.reqEnd > row.start) lines.push(['sent in', formatDuration(row.reqEnd - row.start)]);
  if (row.resp !== null && row.reqEnd !== null) lines.push(['waited for the server', formatDuration(Math.max(0, row.resp - row.reqEnd))]);
  if (row.firstData !== null) lines.push(['received in', formatDuration(row.end - row.firstData)]);
  [['stream window', w[0]], ['connection window', w[1]], ['a free stream', w[2]], ['octets sent again', w[4]]].forEach(([k, v]) => {
    if (v) lines.push(['waited for ' + k, formatDuration(v)]);
  });
  if (row.body[1]) lines.push(['response', formatCount(row.body[1]) + ' octets']);
  if (row.body[0]) lines.push(['request', formatCount(row.body[0]) + ' octets']);
  const note = requestCells(row).at(-1);
  if (note) lines.push(['note', note]);
  const s = row.stalls.find((x) => x.start <= t && t <= x.end);
  if (s) lines.push(['here', 'no ' + windowNames[s.window] + ' window for ' + formatDuration(s.end - s.start) + '; ended by ' + s.endedBy]);
  const f = nearest(row, t);
  if (f) lines.push(['frame ' + f[NUMBER], typeName(f[TYPE]) + ' of ' + formatCount(f[LENGTH]) + ' octets']);
  return [
    el('b', {}, row.method + ' ' + (row.authority || '') + target(row)),
    el('dl', {}, ...lines.flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)])),
    ...row.findings.slice(0, 3).map((x) => findingText(x, 'p')),
  ];
}

// nearest is the DATA of a row within three pixels of a time.
function nearest(row, t) {
  const i = search(row.data, (f) => f[TIME] >= t);
  const reach = timeAt(3) - timeAt(0);
  return [row.data[i], row.data[i - 1]].find((f) => f && f[NUMBER] && f[TIME] - f[SPAN] - reach <= t && t <= f[TIME] + reach);
}

// describeRow has assistive technology read the selected row: it is an element that is not seen.
function describeRow() {
  const grid = $('wf-grid');
  grid.setAttribute('aria-rowcount', view.rows.length);
  const active = $('wf-active');
  const at = view.rows.indexOf(view.row);
  if (at < 0) {
    $('wf').removeAttribute('aria-activedescendant');
    put(active);
    return;
  }
  $('wf').setAttribute('aria-activedescendant', 'wf-active');
  active.setAttribute('aria-rowindex', at + 1);
  const cells = requestCells(view.row);
  put(active, ...requestHeads.map((h, i) => (cells[i] === '' ? null : el('span', {role: 'gridcell'}, h + ' ', cells[i], '. '))).filter(Boolean));
}
