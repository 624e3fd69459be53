'use strict';

// Everything shown here is what the browser measured (Resource Timing):
// nextHopProtocol is the ALPN name of the protocol a resource came over, and
// serverTiming carries the server's number for the connection.
const el = (id) => document.getElementById(id);
const connection = (e) => e.serverTiming?.find((t) => t.name === 'conn')?.description;

function show() {
  const page = performance.getEntriesByType('navigation')[0];
  // The icon is the browser's own idea, long after the page; fetches are this script's.
  const resources = performance.getEntriesByType('resource')
    .filter((e) => e.initiatorType !== 'fetch' && !e.name.endsWith('/favicon.ico'));
  const all = [page, ...resources];
  const protocol = page.nextHopProtocol || 'unknown';
  const same = all.filter((e) => e.nextHopProtocol === protocol).length;
  const conns = new Set(all.map(connection).filter(Boolean));
  const last = Math.max(...all.map((e) => e.responseEnd));

  el('protocol').textContent = protocol;
  el('count').textContent = `${same} of ${all.length}`;
  el('conns').textContent = conns.size || '?';
  el('span').textContent = `${(last - page.requestStart).toFixed(0)} ms`;

  const byName = new Map(resources.map((e) => [e.name, e]));
  for (const img of document.querySelectorAll('#picture img')) {
    const e = byName.get(img.src);
    const caption = img.nextElementSibling;
    caption.textContent = e ? `${e.nextHopProtocol || '?'} ${(e.responseEnd - e.startTime).toFixed(0)}ms` : '';
    caption.classList.toggle('other', e?.nextHopProtocol !== 'h2');
  }
  draw(resources, page.requestStart, last);
}

function draw(entries, from, to) {
  const percent = (t) => `${Math.max(0, (t - from) / (to - from) * 100)}%`;
  const bar = (kind, start, end) => {
    const i = document.createElement('i');
    i.className = kind;
    i.style.left = percent(start);
    i.style.width = percent(from + end - start);
    return i;
  };
  el('waterfall').replaceChildren(...entries.map((e) => {
    const row = document.createElement('div');
    row.title = `${new URL(e.name).pathname} ${e.nextHopProtocol} connection ${connection(e) ?? '?'}`;
    row.append(bar('wait', e.startTime, e.responseStart), bar('load', e.responseStart, e.responseEnd));
    return row;
  }));
}

// The same page over the other listener, to compare with.
async function offerOther() {
  const info = await (await fetch('/info.json')).json();
  const [scheme, port, what] = location.protocol === 'https:'
    ? ['http', info.plainPort, 'over HTTP/1.1 without TLS'] : ['https', info.tlsPort, 'over TLS'];
  if (!port) return;
  el('other').href = `${scheme}://${location.hostname}:${port}/`;
  el('other').textContent = `The same page ${what}`;
  el('other').hidden = false;
}

el('again').addEventListener('click', () => location.reload());
addEventListener('load', () => {
  // The load event runs before the last entries are complete.
  setTimeout(() => { show(); offerOther(); document.documentElement.dataset.ready = 'yes'; }, 50);
});
