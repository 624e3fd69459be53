// The bars of a row: what the stream did, and what it waited for, by time.

// fill draws a stretch of time that is in sight, at least min pixels wide.
function fill(ctx, t0, t1, y, h, color, min) {
  if (t0 === null || t1 === null || t1 < view.t0 || t0 > view.t1) return;
  const x0 = Math.max(xOf(t0), layout.label - 2);
  const x1 = Math.min(xOf(t1), layout.width + 2);
  ctx.fillStyle = color;
  ctx.fillRect(x0, y, Math.max(x1 - x0, min || 0), h);
}

// firstOf is the first of some times that is known.
function firstOf(...times) { return times.find((t) => t !== null && t !== undefined); }

function drawBars(ctx, row, y) {
  if (row.start === null) return;
  const top = y + (ROW - BAR) / 2;
  const wait = waitOf(row);
  const open = !row.complete && row.resetAt === null && !row.info;
  const now = open ? row.conn.t1 : row.end;
  if (wait[2] > 0) fill(ctx, row.start - wait[2], row.start, top + 2, BAR - 4, hatch(ctx, palette.bconc, 1), 2);
  fill(ctx, row.start, firstOf(row.reqEnd, row.resetAt, row.resp, now), top, BAR, palette.send, 2);
  if (row.reqEnd !== null) {
    const answer = firstOf(row.resp, row.firstData, row.resetAt, now);
    fill(ctx, row.reqEnd, answer, top + 4, BAR - 8, palette.wait, 0);
  }
  if (row.resp !== null) fill(ctx, row.resp, firstOf(row.firstData, now), top + 4, BAR - 8, palette.data, 0);
  if (row.firstData !== null) fill(ctx, row.firstData, now, top, BAR, palette.data, 1);
  drawChunks(ctx, row, top);
  drawStalls(ctx, row, top);
  if (row.resp !== null) fill(ctx, row.resp, row.resp, top - 1, BAR + 2, palette.head, 3);
  drawRowMarks(ctx, row, top);
  drawNote(ctx, row, y, now, open);
}

// drawChunks draws DATA, each where it passed; those that fall into one pixel are drawn once.
function drawChunks(ctx, row, top) {
  const list = row.data;
  let drawn = -1;
  for (let i = search(list, (f) => f[TIME] >= view.t0); i < list.length; i++) {
    const f = list[i];
    const t0 = f[TIME] - f[SPAN];
    if (t0 > view.t1) break;
    const x1 = Math.max(xOf(f[TIME]), xOf(t0) + 1.5);
    if (x1 - drawn < 0.7) continue;
    const x0 = Math.max(xOf(t0), drawn);
    ctx.fillStyle = f[DIR] ? palette.chunk : palette.upload;
    ctx.fillRect(x0, top, x1 - x0, BAR);
    drawn = x1 + 0.4;
  }
}

// stallColor is the colour of a window that was used up.
function stallColor(s) { return s.window === 1 ? palette.bstream : palette.bconn; }

function drawStalls(ctx, row, top) {
  for (const s of row.stalls) {
    fill(ctx, s.start, s.end, top, BAR, palette.panel, 2);
    fill(ctx, s.start, s.end, top, BAR, hatch(ctx, stallColor(s), s.window === 3 ? 2 : s.window === 1 ? 1 : 0), 2);
    fill(ctx, s.start, s.end, top + BAR - 2, 2, stallColor(s), 2);
  }
}

// drawRowMarks marks a push, a reset and findings.
function drawRowMarks(ctx, row, top) {
  if (row.pushed && row.start >= view.t0) {
    const x = xOf(row.start);
    ctx.fillStyle = palette.push;
    ctx.beginPath();
    ctx.moveTo(x - 1, top - 2); ctx.lineTo(x + 8, top + BAR / 2); ctx.lineTo(x - 1, top + BAR + 2);
    ctx.fill();
  }
  for (const x of row.findings) {
    if (x.time !== null && x.time >= view.t0 && x.time <= view.t1) drawDot(ctx, xOf(x.time), top - 1, x.severity);
  }
  if (row.resetAt === null || row.resetAt < view.t0 || row.resetAt > view.t1) return;
  const x = xOf(row.resetAt) + 5;
  const mid = top + BAR / 2;
  ctx.strokeStyle = palette.error;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(x - 4, mid - 4); ctx.lineTo(x + 4, mid + 4);
  ctx.moveTo(x + 4, mid - 4); ctx.lineTo(x - 4, mid + 4);
  ctx.stroke();
}

// drawNote says behind a bar how long it is and what it carried, or how it was reset.
function drawNote(ctx, row, y, now, open) {
  const x = xOf(now) + (row.resetAt === null ? 7 : 14);
  if (x < layout.label || x > layout.width - 30) return;
  const [sent, got] = row.body;
  let text = formatDuration(now - row.start);
  if (got) text += ' · ' + formatOctets(got);
  if (sent) text += ' · ↑ ' + formatOctets(sent);
  if (row.resetBy) text = row.resetCode + ' by the ' + row.resetBy + ' · ' + text;
  if (open) text += ' …';
  ctx.font = '11px ' + palette.font;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  ctx.fillStyle = row.resetBy ? palette.error : palette.muted;
  ctx.fillText(text, x, y + ROW / 2 + 0.5);
}

// drawMarks marks what is about the whole connection: its end, GOAWAY, octets that were lost.
function drawMarks(ctx, bottom) {
  const c = view.conn;
  if (!c) return;
  for (const g of c.gaps) {
    const x = Math.round(xOf(g.time));
    if (g.time === null || x < layout.label || x > layout.width) continue;
    ctx.fillStyle = hatch(ctx, palette.error, 1);
    ctx.fillRect(x - 3, AXIS, 6, bottom - AXIS);
  }
  for (const f of c.goaways) drawLine(ctx, f[TIME], bottom, palette.warning, 'GOAWAY');
  if (c.end && c.end.how === 'reset') drawLine(ctx, c.end.time, bottom, palette.error, 'RST of TCP');
  if (view.cursor !== null) {
    ctx.fillStyle = palette.accent;
    ctx.globalAlpha = 0.5;
    ctx.fillRect(Math.round(xOf(view.cursor)), AXIS, 1, bottom - AXIS);
    ctx.globalAlpha = 1;
  }
}

// drawLine draws a line across all rows, with its name at the top.
function drawLine(ctx, t, bottom, color, name) {
  if (t === null || t < view.t0 || t > view.t1) return;
  const x = Math.round(xOf(t)) + 0.5;
  ctx.strokeStyle = color;
  ctx.lineWidth = 1;
  ctx.setLineDash([4, 3]);
  ctx.beginPath();
  ctx.moveTo(x, AXIS);
  ctx.lineTo(x, bottom);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.font = '10px ' + palette.font;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'top';
  ctx.fillStyle = color;
  ctx.fillText(name, x - 3, AXIS + 4);
}
