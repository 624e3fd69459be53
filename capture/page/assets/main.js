// The beginning: events become the model, the model is shown.

function load() {
  const data = $('events');
  if (!data) return;
  for (const line of data.textContent.split('\n')) {
    if (line) addRecord(JSON.parse(line));
  }
  const end = readJSON('counts') || {};
  model.counts = end.counts || {};
  model.base = end.base || null;
  for (const c of model.conns) c.rows.sort((a, b) => a.start - b.start);
  data.remove();
}

// first is the connection that is shown at first: the one with most to tell.
function first() {
  const weight = (c) => c.rows.length + c.findings.length * 20 + c.stalls.length * 20 + c.frames.length / 100;
  return model.conns.reduce((best, c) => (!best || weight(c) > weight(best) ? c : best), null);
}

function start() {
  readPalette();
  painters.set('conns', paintConns);
  painters.set('facts', paintFacts);
  painters.set('tabs', paintTabs);
  painters.set('waterfall', paintWaterfall);
  painters.set('windows', paintWindows);
  painters.set('frames', paintFrames);
  painters.set('findings', paintFindings);
  painters.set('stalls', paintStalls);
  painters.set('requests', paintRequests);
  painters.set('detail', paintDetail);
  if (meta.title) document.title = meta.title + ' – sluice inspect';
  $('title').textContent = meta.title || '';
  load();
  $('base').textContent = model.base ? 'time 0 is ' + model.base.replace('T', ' ').replace('Z', ' UTC') : '';
  listen();
  const c = first();
  if (c) showConn(c); else redraw();
  document.documentElement.dataset.ready = 'yes';
  if (meta.live) connect();
}

start();
