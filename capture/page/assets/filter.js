// The filter: words that all have to hold, such as "status:404", "is:stalled" or "-type:DATA".

const rowTests = {
  stream: (row, v) => String(row.stream) === v,
  status: (row, v) => new RegExp('^' + v.replace(/[^0-9x]/gi, '').replace(/x/gi, '\\d') + '$').test(String(row.status)),
  method: (row, v) => row.method.toLowerCase() === v,
  host: (row, v) => row.authority.toLowerCase().includes(v),
  type: (row, v) => row.frames.some((f) => typeName(f[TYPE]).toLowerCase().startsWith(v)),
  flag: (row, v) => row.frames.some((f) => hasFlag(f, v)),
  from: () => true,
  is: (row, v) => ({
    pushed: row.pushed,
    reset: row.resetBy !== '',
    stalled: row.stalls.length > 0 || waitOf(row).slice(0, 3).some((w) => w > 0),
    error: row.status >= 400 || row.resetBy !== '' || row.worst === 2,
    finding: row.findings.length > 0,
    open: !row.complete && !row.resetBy,
  })[v] || false,
};

// frameTests are the tests of a frame itself; the others are about its row.
const frameTests = {
  stream: (f, v) => String(f[STREAM]) === v,
  type: (f, v) => typeName(f[TYPE]).toLowerCase().startsWith(v),
  flag: (f, v) => hasFlag(f, v),
  from: (f, v) => sideNames[f[DIR]].startsWith(v),
};

function hasFlag(f, v) { return flagNames(f[TYPE], f[FLAGS]).some((n) => n.toLowerCase().includes(v)); }

// compileFilter makes tests of a text, or null of an empty one.
function compileFilter(text) {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean).map((w) => {
    const not = w.length > 1 && w[0] === '-';
    const body = not ? w.slice(1) : w;
    const m = /^([a-z]+):(.*)$/.exec(body);
    return m && Object.hasOwn(rowTests, m[1]) ? {not, key: m[1], value: m[2]} : {not, key: '', value: body};
  });
  if (words.length === 0) return null;
  return {
    row: (row) => words.every((w) => w.not !== testRow(row, w)),
    frame: (f, row) => words.every((w) => w.not !== testFrame(f, row, w)),
  };
}

function testRow(row, w) {
  if (w.key) return w.value === '' || rowTests[w.key](row, w.value);
  return (row.method + ' ' + row.authority + target(row) + ' ' + row.status + ' ' + row.resetCode).toLowerCase()
    .includes(w.value);
}

function testFrame(f, row, w) {
  if (w.key && w.value === '') return true;
  if (frameTests[w.key]) return frameTests[w.key](f, w.value);
  if (w.key) return !!row && rowTests[w.key](row, w.value);
  return frameText(f).includes(w.value) || (!!row && testRow(row, w));
}

// frameText is what a frame is searched in.
function frameText(f) {
  let text = typeName(f[TYPE]) + ' ' + f[MORE].join(' ');
  for (const [name, value] of f[FIELDS] || []) text += ' ' + name + ': ' + value;
  return text.toLowerCase();
}

function setFilter(text) {
  $('filter').value = text;
  view.filter = compileFilter(text);
  applyFilter();
  redraw();
}

// applyFilter makes the lists that the filter lets through.
function applyFilter() {
  const c = view.conn;
  if (!c) return;
  const {filter, scope} = view;
  view.rows = filter ? c.rows.filter(filter.row) : c.rows;
  const frames = scope ? scope.frames : c.frames;
  frameList.shown = filter ? frames.filter((f) => filter.frame(f, c.byStream.get(f[STREAM]))) : frames;
}
