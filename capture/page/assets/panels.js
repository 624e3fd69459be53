// What is around the waterfall: the connections, the facts of one, its findings, stalls, requests.

// nameOf is a connection for people: the server's name where it is known.
function nameOf(c) { return (c.info.tls && c.info.tls.name) || hostOf(c) || c.info.server || 'connection ' + c.id; }

function hostOf(c) {
  const row = c.rows.find((r) => r.authority);
  return row ? row.authority : '';
}

const protocolNames = {'h2': 'HTTP/2', 'http/1.1': 'HTTP/1.1', 'unknown': 'unknown'};

function paintConns() {
  const list = $('conns');
  const items = model.conns.slice(-maxConns).map(connItem);
  if (items.length !== list.children.length || items.some((e, i) => e !== list.children[i])) put(list, ...items);
  if (view.conn) list.setAttribute('aria-activedescendant', 'conn-' + view.conn.id);
  $('conn-count').textContent = formatCount(model.conns.length);
  put($('bounds'), ...boundLines().map((t) => el('p', {}, t)));
}

// maxConns is how many connections are listed, and kept while they come.
const maxConns = 2000;

// connItem is the element of a connection, which is kept until it would be another one.
function connItem(c) {
  const key = c.version + (c === view.conn ? ' shown' : '');
  if (c.itemKey !== key) Object.assign(c, {itemKey: key, item: newConnItem(c)});
  return c.item;
}

function newConnItem(c) {
  const {info} = c;
  const encrypted = info.tls && info.tls.encrypted;
  const item = el('li', {
    class: 'conn' + (info.parent ? ' nested' : ''), role: 'option', id: 'conn-' + c.id,
    'aria-selected': String(c === view.conn),
  },
  el('div', {class: 'conn-head'}, el('b', {}, nameOf(c)),
    el('span', {class: 'proto p-' + info.protocol.replace(/\W/g, '')}, encrypted ? 'encrypted' : protocolNames[info.protocol] || info.protocol)),
  el('div', {class: 'conn-sub'}, info.leg ? info.leg + ' leg · ' : '', info.client + ' → ' + info.server),
  el('div', {class: 'conn-stats'},
    el('span', {}, plural(c.rows.length, 'request')),
    el('span', {}, plural(c.frames.length, info.protocol === 'http/1.1' ? 'head' : 'frame')),
    c.stalls.length ? el('span', {class: 'stalled'}, plural(c.stalls.length, 'stall')) : null,
    c.findings.length ? el('span', {class: 'sev-' + severityNames[c.worst]}, plural(c.findings.length, 'finding')) : null));
  item.addEventListener('click', () => showConn(c));
  return item;
}

// boundLines say what is not in the page, because there was too much of it.
function boundLines() {
  const lines = [];
  const nouns = {frame: 'frames', message: 'heads', request: 'requests', stall: 'stalls', finding: 'findings',
    gap: 'gaps', connection: 'connections', end: 'ends'};
  for (const [kind, [came, shown]] of Object.entries(model.counts)) {
    if (came > shown) lines.push('Only ' + formatCount(shown) + ' of ' + formatCount(came) + ' ' + (nouns[kind] || kind) + ' are in this page.');
  }
  if (model.missed) lines.push(formatCount(model.missed) + ' older events are no longer kept.');
  return lines;
}

// chip is a fact in a few words.
function chip(text, title, kind) { return el('span', {class: 'chip' + (kind ? ' ' + kind : ''), title: title || null}, text); }

// blockedFor is how long at least one stream of a side could not send, by the window that was used up.
function blockedFor(c) {
  if (c.blocked && c.blocked.stalls === c.stalls.length) return c.blocked.list;
  const sums = new Map();
  for (const s of [...c.stalls].sort((a, b) => a.start - b.start)) {
    const key = (s.window === 1 ? 'stream' : 'connection') + s.dir;
    const sum = sums.get(key) || {window: s.window === 1 ? 'stream' : 'connection', dir: s.dir, ns: 0, until: -Infinity};
    sum.ns += Math.max(0, s.end - Math.max(s.start, sum.until));
    sum.until = Math.max(sum.until, s.end);
    sums.set(key, sum);
  }
  c.blocked = {stalls: c.stalls.length, list: [...sums.values()].sort((a, b) => b.ns - a.ns)};
  return c.blocked.list;
}

// connButton leads to another connection.
function connButton(text, id) {
  const e = el('button', {type: 'button'}, text);
  e.addEventListener('click', () => showConn(model.byId.get(id)));
  return e;
}

// blockedButton says so, and shows the stalls.
function blockedButton(b) {
  const title = 'in stalls of --min-stall, or 20 ms, and longer; what each request waited for counts shorter ones, too';
  const e = el('button', {type: 'button', class: 'by-' + b.window, title},
    sideNames[b.dir] + ' blocked ' + formatDuration(b.ns) + ' by the ' + b.window + ' window');
  e.addEventListener('click', () => showTab('stalls'));
  return e;
}

function paintFacts() {
  const c = view.conn;
  if (!c) {
    put($('facts'), el('span', {class: 'muted'}, meta.live ? 'Waiting for the first connection …' : 'There is no connection in this capture.'));
    return;
  }
  const {info} = c;
  const t = info.tls;
  const found = {preface: 'by its preface', alpn: 'by ALPN', upgrade: 'by an Upgrade', frames: 'by its frames', text: 'by its text'};
  const chips = [chip(protocolNames[info.protocol] || info.protocol, null, 'strong')];
  if (t) {
    chips.push(chip(t.version || 'TLS'));
    if (t.cipher) chips.push(chip(t.cipher.replace(/^TLS_/, ''), t.cipher));
    if (t.alpn) chips.push(chip('ALPN ' + t.alpn, t.offered ? 'the client offered ' + t.offered.join(', ') : null));
    if (t.resumed) chips.push(chip('resumed', 'the session of an earlier connection was resumed'));
    if (t.helloRetry) chips.push(chip('HelloRetryRequest'));
    if (t.earlyData) chips.push(chip('0-RTT', 'early data was accepted'));
  } else {
    chips.push(chip('no TLS'));
  }
  if (info.found) chips.push(chip('found ' + (found[info.found] || info.found)));
  if (info.parent) chips.push(connButton('in CONNECT stream ' + info.parentStream + ' of connection ' + info.parent, info.parent));
  if (info.twin) chips.push(connButton('other leg: connection ' + info.twin, info.twin));
  if (info.startMissing) chips.push(chip('start missing', 'the capture begins in the midst of this connection', 'bad'));
  if (c.end) chips.push(chip({open: 'still open at the end', closed: 'closed', reset: 'reset'}[c.end.how] || c.end.how, null, c.end.how === 'reset' ? 'bad' : ''));
  const lost = c.gaps.reduce((n, g) => n + Math.max(0, g.octets), 0);
  if (c.gaps.length) chips.push(chip(lost ? formatOctets(lost) + ' missing' : 'octets missing', c.gaps.map((g) => g.text).join(' '), 'bad'));
  put($('facts'), el('h2', {}, nameOf(c)), ...chips, ...blockedFor(c).map(blockedButton),
    info.problem ? el('p', {class: 'problem', role: 'alert'}, info.problem) : null);
}

const tabs = ['frames', 'findings', 'stalls', 'requests'];

function showTab(name) {
  view.tab = name;
  redraw('tabs', name);
}

function paintTabs() {
  const c = view.conn;
  const counts = c ? {frames: frameList.shown.length, findings: c.findings.length, stalls: c.stalls.length,
    requests: view.rows.length} : {};
  for (const t of tabs) {
    const on = view.tab === t;
    $('tab-' + t).setAttribute('aria-selected', String(on));
    $('tab-' + t).tabIndex = on ? 0 : -1;
    $('n-' + t).textContent = formatCount(counts[t] || 0);
    $('panel-' + t).hidden = !on;
  }
  $('n-findings').className = 'n' + (c && c.worst >= 0 ? ' sev-' + severityNames[c.worst] : '');
}

function findingText(x, tag) {
  return el(tag, {class: 'finding sev-' + severityNames[x.severity]},
    el('span', {class: 'sev'}, severityNames[x.severity]), ' ', x.text, ' ', el('span', {class: 'section'}, linkToSection(x.section)));
}

// listLimit is how many rows a table has that is not virtual.
const listLimit = 1000;

// moreLine says how many rows a table leaves out.
function moreLine(n, noun) {
  return n > listLimit ? el('p', {class: 'empty'}, 'and ' + plural(n - listLimit, 'more ' + noun) + '; a filter shows them') : null;
}

function paintFindings() {
  if (view.tab !== 'findings') return;
  const list = view.conn ? view.conn.findings : [];
  put($('panel-findings'), list.length ? el('ul', {class: 'findings'},
    ...list.slice(0, listLimit).map((x) => {
      const go = el('button', {class: 'jump', type: 'button'}, x.frame ? 'frame ' + x.frame : formatClock(x.time) + ' ms');
      go.addEventListener('click', () => showFrame(x.conn, x.frame, x.stream, x.time));
      const item = findingText(x, 'li');
      item.append(el('span', {class: 'where'}, x.rule, x.stream ? ' · stream ' + x.stream : ' · connection', ' · by the ' + sideNames[x.dir]), go);
      return item;
    })) : el('p', {class: 'empty'}, 'No rule is broken in this connection.'), moreLine(list.length, 'finding'));
}

// table makes a table of cells; go is called with the index of a row that is clicked.
function table(name, heads, rows, go) {
  const t = el('table', {class: 'list', 'aria-label': name},
    el('thead', {}, el('tr', {}, ...heads.map((h) => el('th', {scope: 'col'}, h)))));
  const body = el('tbody');
  rows.forEach((cells, i) => {
    const tr = el('tr', {tabindex: go ? 0 : null}, ...cells.map((c) => el('td', {}, c)));
    if (go) {
      tr.addEventListener('click', () => go(i));
      tr.addEventListener('keydown', (e) => { if (e.key === 'Enter') { e.preventDefault(); go(i); } });
    }
    body.append(tr);
  });
  t.append(body);
  return t;
}

const stallHeads = ['start', 'length', 'without window', 'stream', 'window', 'could not send', 'owed WINDOW_UPDATE', 'ended by'];

function stallCells(s) {
  return [formatClock(s.start) + ' ms', formatDuration(s.end - s.start),
    s.periods > 1 ? formatDuration(s.blocked) + ' in ' + plural(s.periods, 'period') : formatDuration(s.end - s.start),
    s.stream || 'all', el('span', {class: 'w-' + windowNames[s.window]}, windowNames[s.window]), sideNames[s.dir],
    sideNames[1 - s.dir], s.endedBy];
}

function paintStalls() {
  if (view.tab !== 'stalls') return;
  const list = view.conn ? view.conn.stalls : [];
  put($('panel-stalls'), list.length
    ? table('Stalls', stallHeads, list.slice(0, listLimit).map(stallCells), (i) => {
      const s = list[i];
      showFrame(s.conn, s.frame, s.stream, s.start);
    }) : el('p', {class: 'empty'}, 'No stream had to wait for a window.'), moreLine(list.length, 'stall'));
}

const requestHeads = ['stream', 'method', 'target', 'status', 'start (ms)', 'length', 'server', 'stream window',
  'connection window', 'free stream', 'network', 'sent', 'received', 'note'];

function requestCells(r) {
  const w = waitOf(r);
  const d = (n) => (n ? formatDuration(n) : '');
  const o = (n) => (n ? formatOctets(n) : '');
  const i = r.info || {};
  const notes = [r.interim.length ? 'interim ' + r.interim.join(', ') : '', i.goaway ? 'not processed, says GOAWAY' : '',
    i.upgraded ? 'sent with Upgrade: h2c' : '', i.startMissing ? 'request not seen' : '', i.lossy ? 'octets missing' : '',
    i.problem || '', r.pushed ? 'pushed on stream ' + r.parent : '', r.resetBy ? r.resetCode + ' by the ' + r.resetBy : '',
    i.grpc ? 'gRPC status ' + (i.grpc.status < 0 ? 'missing' : i.grpc.status) : '',
    r.findings.length ? plural(r.findings.length, 'finding') : ''];
  return [r.stream, r.method, target(r), r.status || '', formatClock(r.start), formatDuration(r.end - r.start), d(w[3]), d(w[0]),
    d(w[1]), d(w[2]), d(w[4]), o(r.body[0]), o(r.body[1]), notes.filter(Boolean).join(', ')];
}

// requestTable is the waterfall as a table, without columns that are empty.
function requestTable(list, go) {
  const rows = list.slice(0, listLimit).map(requestCells);
  const used = requestHeads.map((_, i) => i < 6 || rows.some((cells) => cells[i] !== ''));
  const keep = (cells) => cells.filter((_, i) => used[i]);
  return table('Requests', keep(requestHeads), rows.map(keep), go);
}

function paintRequests() {
  if (view.tab !== 'requests') return;
  const list = view.rows;
  put($('panel-requests'), requestTable(list, (i) => openRow(list[i])),
    moreLine(list.length, 'request'));
}
