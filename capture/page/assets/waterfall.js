// The waterfall: a row for each stream, drawn in a canvas as far as it is in sight.

const ROW = 22; // height of a row
const AXIS = 26; // height of the axis
const BAR = 12; // height of a bar

// prepare sizes a canvas for the screen and returns its context.
function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio);
  const h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = width + 'px';
    canvas.style.height = height + 'px';
  }
  const ctx = canvas.getContext('2d');
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

function paintWaterfall() {
  const box = $('wf');
  $('wf-space').style.height = AXIS + view.rows.length * ROW + 'px';
  layout.width = box.clientWidth; // without the scroll bar that the height may need
  layout.label = clamp(Math.round(layout.width * 0.32), 150, 360);
  const at = view.toRow ? view.rows.indexOf(view.toRow) : -1;
  if (at >= 0) scrollInto(box, at * ROW, ROW, AXIS);
  view.toRow = null;
  const height = box.clientHeight;
  const ctx = prepare($('wf-canvas'), layout.width, height);
  drawWaterfall(ctx, height, box.scrollTop);
  describeRow();
}

// drawWaterfall draws the rows that are in sight, from scroll pixels down.
function drawWaterfall(ctx, height, scroll) {
  const first = Math.floor(scroll / ROW);
  const last = Math.min(view.rows.length, Math.ceil((scroll + height - AXIS) / ROW));
  const bottom = Math.min(height, AXIS + view.rows.length * ROW - scroll);
  drawBands(ctx, first, last, scroll);
  ctx.save();
  ctx.beginPath();
  ctx.rect(layout.label, AXIS, layout.width - layout.label, height - AXIS);
  ctx.clip();
  drawGrid(ctx, bottom);
  for (let i = first; i < last; i++) drawBars(ctx, view.rows[i], AXIS + i * ROW - scroll);
  drawMarks(ctx, bottom);
  ctx.restore();
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, AXIS, layout.label, height - AXIS);
  ctx.clip();
  for (let i = first; i < last; i++) drawLabel(ctx, view.rows[i], AXIS + i * ROW - scroll);
  ctx.restore();
  drawAxis(ctx);
  if (view.rows.length === 0 && view.conn) drawNone(ctx);
}

// drawNone says why there are no rows.
function drawNone(ctx) {
  ctx.font = '12px ' + palette.font;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  ctx.fillStyle = palette.muted;
  ctx.fillText(view.filter ? 'No request passes the filter.' : 'No requests are known.', 14, AXIS + ROW);
}

// drawBands draws what is behind the rows.
function drawBands(ctx, first, last, scroll) {
  for (let i = first; i < last; i++) {
    const row = view.rows[i];
    const color = row === view.row ? palette.select : i === view.hover ? palette.faint : i % 2 ? palette.zebra : null;
    if (!color) continue;
    ctx.fillStyle = color;
    ctx.fillRect(0, Math.max(AXIS, AXIS + i * ROW - scroll), layout.width, ROW);
  }
}

// ticks are round times in sight, some 90 pixels apart.
function ticks() {
  if (!view.conn) return {list: [], step: 1};
  const want = (view.t1 - view.t0) / Math.max(1, (layout.width - layout.label) / 90);
  const power = 10 ** Math.floor(Math.log10(want));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= want);
  const list = [];
  for (let t = Math.ceil(view.t0 / step) * step; t <= view.t1 && list.length < 100; t += step) list.push(t);
  return {list, step};
}

// formatTick is the time of a tick, with as many digits as the step needs.
function formatTick(t, step) {
  const [unit, name] = step >= 1e8 ? [1e9, 's'] : step >= 1e5 ? [1e6, 'ms'] : [1e3, 'µs'];
  const digits = clamp(-Math.floor(Math.log10(step / unit)), 0, 3);
  return (Math.abs(t) < step / 2 ? '0' : (t / unit).toFixed(digits).replace('-', '−')) + ' ' + name;
}

function drawGrid(ctx, bottom) {
  ctx.fillStyle = palette.line;
  for (const t of ticks().list) ctx.fillRect(Math.round(xOf(t)), AXIS, 1, bottom - AXIS);
}

function drawAxis(ctx) {
  ctx.fillStyle = palette.panel;
  ctx.fillRect(0, 0, layout.width, AXIS);
  ctx.fillStyle = palette.line;
  ctx.fillRect(0, AXIS - 1, layout.width, 1);
  ctx.font = '11px ' + palette.font;
  ctx.textBaseline = 'middle';
  ctx.fillStyle = palette.muted;
  ctx.textAlign = 'right';
  ctx.fillText('stream', 46, AXIS / 2);
  ctx.textAlign = 'left';
  ctx.fillText('request', 56, AXIS / 2);
  ctx.textAlign = 'right';
  ctx.fillText('status', layout.label - 12, AXIS / 2);
  const {list, step} = ticks();
  ctx.textAlign = 'center';
  for (const t of list) {
    const x = Math.round(xOf(t));
    if (x < layout.label + 14 || x > layout.width - 24) continue;
    ctx.fillText(formatTick(t, step), x, AXIS / 2);
    ctx.fillRect(x, AXIS - 5, 1, 4);
  }
  ctx.fillStyle = palette.line;
  ctx.fillRect(layout.label - 1, 0, 1, AXIS);
  if (view.cursor !== null) drawCursor(ctx);
}

// drawCursor draws the time under the pointer.
function drawCursor(ctx) {
  const x = Math.round(xOf(view.cursor));
  if (x < layout.label) return;
  const text = formatTick(view.cursor, (view.t1 - view.t0) / 2000);
  ctx.font = '600 11px ' + palette.font;
  const w = ctx.measureText(text).width + 10;
  const left = clamp(x - w / 2, layout.label, layout.width - w);
  ctx.fillStyle = palette.accent;
  ctx.fillRect(left, 4, w, AXIS - 9);
  ctx.fillStyle = palette.panel;
  ctx.textAlign = 'center';
  ctx.fillText(text, left + w / 2, AXIS / 2);
}

function statusColor(row) {
  if (row.resetBy || row.status >= 500) return palette.error;
  if (row.status >= 400) return palette.warning;
  return row.status >= 200 && row.status < 300 ? palette.good : palette.muted;
}

// drawLabel draws the stream, the request and the status of a row.
function drawLabel(ctx, row, y) {
  const mid = y + ROW / 2 + 0.5;
  ctx.textBaseline = 'middle';
  ctx.font = '11px ' + palette.mono;
  ctx.fillStyle = palette.muted;
  ctx.textAlign = 'right';
  ctx.fillText(String(row.stream), 46, mid);
  ctx.fillStyle = statusColor(row);
  ctx.font = '600 11px ' + palette.mono;
  ctx.fillText(row.status ? String(row.status) : row.resetBy ? 'RST' : '···', layout.label - 12, mid);
  if (row.worst > 0) drawDot(ctx, layout.label - 46, mid, row.worst);
  ctx.save();
  ctx.beginPath();
  ctx.rect(56, y, layout.label - 56 - 54, ROW);
  ctx.clip();
  ctx.textAlign = 'left';
  ctx.font = '10px ' + palette.font;
  ctx.fillStyle = row.pushed ? palette.push : palette.muted;
  const method = row.pushed ? 'PUSH' : row.method || '?';
  ctx.fillText(method, 56, mid);
  const x = 56 + Math.max(34, ctx.measureText(method).width + 6);
  ctx.font = (row === view.row ? '600 ' : '') + '12px ' + palette.font;
  ctx.fillStyle = palette.ink;
  drawTarget(ctx, target(row), x, mid, layout.label - 56 - x);
  ctx.restore();
}

// drawTarget draws a path; of one that is too long its end, which tells more, stays in sight.
function drawTarget(ctx, text, x, y, room) {
  let t = text.length > 200 ? text.slice(0, 100) + '…' + text.slice(-99) : text;
  if (ctx.measureText(t).width > room) {
    let keep = Math.floor(t.length * room / ctx.measureText(t).width) - 2;
    const cut = () => t.slice(0, Math.ceil(keep * 0.4)) + '…' + t.slice(t.length - Math.floor(keep * 0.6));
    while (keep > 4 && ctx.measureText(cut()).width > room) keep--;
    t = cut();
  }
  ctx.fillText(t, x, y);
}

function drawDot(ctx, x, y, severity) {
  ctx.fillStyle = palette[severityNames[severity]];
  ctx.beginPath();
  if (severity === 2) {
    ctx.moveTo(x, y - 5); ctx.lineTo(x + 5, y + 4); ctx.lineTo(x - 5, y + 4);
  } else {
    ctx.arc(x, y, 4, 0, 7);
  }
  ctx.fill();
}
