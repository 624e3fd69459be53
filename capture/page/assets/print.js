// Paper: the waterfall in light colours, in slices that fit a page, and tables behind it.

const printRows = 36; // rows of a slice
const printFrames = 1000; // rows of the table of frames

let themeBefore;

function beforePrint() {
  const root = document.documentElement;
  themeBefore = root.dataset.theme;
  root.dataset.theme = 'light';
  readPalette();
  const c = view.conn;
  put($('print'), ...(c ? printed(c) : []));
}

function afterPrint() {
  const root = document.documentElement;
  if (themeBefore === undefined) delete root.dataset.theme; else root.dataset.theme = themeBefore;
  put($('print'));
  readPalette();
  redraw();
}

// printed is what of a connection gets onto paper.
function printed(c) {
  const out = [];
  const before = {width: layout.width, label: layout.label};
  Object.assign(layout, {width: 1000, label: 320});
  const rows = Math.min(view.rows.length, listLimit);
  for (let i = 0; i < rows; i += printRows) {
    const height = AXIS + Math.min(printRows, rows - i) * ROW;
    const canvas = el('canvas', {class: 'slice', role: 'img', 'aria-label': 'Waterfall'});
    drawWaterfall(prepare(canvas, layout.width, height), height, i * ROW);
    out.push(canvas);
  }
  Object.assign(layout, before);
  const frames = frameList.shown;
  const section = (title, ...body) => out.push(el('h3', {}, title), ...body);
  if (c.findings.length) {
    section('Findings', el('ul', {class: 'findings'}, ...c.findings.slice(0, listLimit).map((x) => findingText(x, 'li'))));
  }
  if (c.stalls.length) section('Stalls', table('Stalls', stallHeads, c.stalls.slice(0, listLimit).map(stallCells)));
  section('Requests', requestTable(view.rows));
  section('Frames' + (frames.length > printFrames ? ' (the first ' + printFrames + ' of ' + formatCount(frames.length) + ')' : ''),
    table('Frames', ['#', 'time (ms)', 'from', 'type', 'stream', 'flags', 'length', ''], frames.slice(0, printFrames).map((f) => [
      f[NUMBER], formatClock(f[TIME]), sideNames[f[DIR]], typeName(f[TYPE]), f[STREAM],
      flagNames(f[TYPE], f[FLAGS]).join(' '), f[LENGTH], summary(f)])));
  return out;
}
