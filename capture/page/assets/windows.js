// The windows of flow control by time: a lane for each side that sends, with the connection's window
// as an area and that of the selected stream as a line.

function paintWindows() {
  const box = $('win');
  const height = box.clientHeight;
  const ctx = prepare($('win-canvas'), layout.width, height);
  const c = view.conn;
  if (!c) return;
  const lane = Math.floor(height / 2);
  for (const side of [1, 0]) drawLane(ctx, c, side, side ? 0 : lane, lane);
  ctx.fillStyle = palette.line;
  ctx.fillRect(0, lane, layout.width, 1);
  ctx.fillRect(layout.label - 1, 0, 1, height);
  if (view.cursor !== null && xOf(view.cursor) >= layout.label) {
    ctx.fillStyle = palette.accent;
    ctx.globalAlpha = 0.5;
    ctx.fillRect(Math.round(xOf(view.cursor)), 0, 1, height);
    ctx.globalAlpha = 1;
  }
}

// valueAt is a window at a time, or null where it is unknown.
function valueAt(curve, t) {
  const i = search(curve.t, (x) => x > t);
  return i === 0 ? null : curve.v[i - 1];
}

// peakOf is the highest value in sight.
function peakOf(curve) {
  let peak = 0;
  const from = Math.max(0, search(curve.t, (x) => x > view.t0) - 1);
  for (let i = from; i < curve.t.length && (i === from || curve.t[i] <= view.t1); i++) peak = Math.max(peak, curve.v[i]);
  return peak;
}

function drawLane(ctx, c, side, top, height) {
  const conn = c.curves[side];
  const stream = view.row && view.row.conn === c ? view.row.curves[side] : null;
  const peak = Math.max(peakOf(conn), stream ? peakOf(stream) : 0, 1);
  const scale = {bottom: top + height - 5, unit: (height - 14) / peak};
  drawLaneLabel(ctx, side, top, height, conn, stream, peak);
  ctx.save();
  ctx.beginPath();
  ctx.rect(layout.label, top, layout.width - layout.label, height);
  ctx.clip();
  ctx.fillStyle = palette.line;
  for (const t of ticks().list) ctx.fillRect(Math.round(xOf(t)), top, 1, height);
  drawEmpty(ctx, c, side, top, height);
  traceCurve(ctx, conn, scale, layout.width + 2);
  ctx.lineTo(layout.width + 2, scale.bottom);
  ctx.lineTo(Math.max(layout.label, conn.t.length ? xOf(conn.t[0]) : layout.width), scale.bottom);
  ctx.fillStyle = palette.area;
  ctx.fill();
  traceCurve(ctx, conn, scale, layout.width + 2);
  ctx.strokeStyle = palette.bconn;
  ctx.lineWidth = 1.3;
  ctx.stroke();
  if (stream) {
    traceCurve(ctx, stream, scale, Math.min(layout.width + 2, xOf(view.row.last)));
    ctx.strokeStyle = palette.bstream;
    ctx.lineWidth = 1.6;
    ctx.stroke();
  }
  ctx.restore();
}

// drawEmpty marks the times in which a window was used up.
function drawEmpty(ctx, c, side, top, height) {
  ctx.globalAlpha = 0.2;
  const until = {};
  for (const s of c.stalls) {
    const mine = view.row && s.stream === view.row.stream;
    if (s.dir !== side || (s.window === 1 && !mine)) continue;
    const color = stallColor(s);
    const from = Math.max(s.start, until[color] ?? -Infinity);
    if (from >= s.end) continue; // other streams stalled at the same time
    fill(ctx, from, s.end, top, height, color, 1);
    until[color] = s.end;
  }
  ctx.globalAlpha = 1;
}

// traceCurve makes the path of a curve in sight, up to x = end. Points within a pixel become one line
// from the lowest to the highest.
function traceCurve(ctx, curve, scale, end) {
  const {t, v} = curve;
  const yOf = (value) => scale.bottom - Math.max(value, 0) * scale.unit;
  ctx.beginPath();
  let i = Math.max(0, search(t, (x) => x > view.t0) - 1);
  if (i >= t.length) return;
  let x = Math.max(xOf(t[i]), layout.label - 2);
  let y = yOf(v[i]);
  ctx.moveTo(x, y);
  while (++i < t.length && t[i] <= view.t1) {
    const next = xOf(t[i]);
    let low = yOf(v[i]);
    let high = low;
    while (i + 1 < t.length && xOf(t[i + 1]) < next + 1) {
      const other = yOf(v[++i]);
      low = Math.max(low, other);
      high = Math.min(high, other);
    }
    x = next;
    ctx.lineTo(x, y);
    if (high !== low) {
      ctx.lineTo(x, low);
      ctx.lineTo(x, high);
    }
    y = yOf(v[i]);
    ctx.lineTo(x, y);
  }
  if (end > x) ctx.lineTo(end, y);
}

function drawLaneLabel(ctx, side, top, height, conn, stream, peak) {
  const t = view.cursor === null ? view.t1 : view.cursor;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.font = '600 11px ' + palette.font;
  ctx.fillStyle = palette.ink;
  const y = top + height / 2 - (height > 50 ? 15 : 9);
  ctx.fillText('The ' + sideNames[side] + ' may send', 14, y);
  const line = (text, value, color, dy) => {
    ctx.fillStyle = color;
    ctx.fillRect(14, y + dy - 1, 12, 3);
    ctx.font = '11px ' + palette.font;
    ctx.fillStyle = palette.muted;
    ctx.textAlign = 'left';
    ctx.fillText(text, 32, y + dy);
    ctx.font = '11px ' + palette.mono;
    ctx.fillStyle = value !== null && value <= 0 ? palette.error : palette.ink;
    ctx.textAlign = 'right';
    ctx.fillText(value === null ? 'unknown' : formatCount(value), layout.label - 12, y + dy);
  };
  line('connection', valueAt(conn, t), palette.bconn, 17);
  if (stream) line('stream ' + view.row.stream, valueAt(stream, t), palette.bstream, 33);
  ctx.font = '10px ' + palette.font;
  ctx.fillStyle = palette.muted;
  ctx.textAlign = 'right';
  ctx.fillText('peak ' + formatOctets(peak), layout.label - 12, y);
}
