// Small helpers: elements, numbers for people, colours.

const $ = (id) => document.getElementById(id);

// el makes an element. Attributes that are false or null are left out; children that are no elements
// become text.
function el(tag, attrs, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (v !== false && v !== null && v !== undefined) e.setAttribute(k, v === true ? '' : String(v));
  }
  e.append(...some(children));
  return e;
}

// some is what of a list of children is there, as nodes and texts.
function some(children) {
  return children.filter((c) => c !== null && c !== undefined && c !== '').map((c) => (c instanceof Node ? c : String(c)));
}

// put has an element have other children.
function put(e, ...children) { e.replaceChildren(...some(children)); }

// formatDuration is nanoseconds for people: three digits, and the unit that fits.
function formatDuration(ns) {
  if (ns === null || ns === undefined) return '–';
  const sign = ns < 0 ? '−' : '';
  const n = Math.abs(ns);
  if (n === 0) return '0';
  if (n < 1e3) return sign + n + ' ns';
  const [v, unit] = n < 999.5e3 ? [n / 1e3, 'µs'] : n < 999.5e6 ? [n / 1e6, 'ms'] : [n / 1e9, 's'];
  return sign + (v < 9.995 ? v.toFixed(2) : v < 99.95 ? v.toFixed(1) : v.toFixed(0)) + ' ' + unit;
}

// formatClock is a time since the capture's start, in milliseconds with all digits of microseconds.
function formatClock(ns) {
  if (ns === null || ns === undefined) return '–';
  return (ns / 1e6).toFixed(3);
}

// formatOctets is a number of octets for people.
function formatOctets(n) {
  if (n < 0) return 'unknown';
  if (n < 1000) return n + ' B';
  if (n < 999.5e3) return (n / 1e3).toFixed(n < 9995 ? 1 : 0) + ' kB';
  if (n < 999.5e6) return (n / 1e6).toFixed(n < 9.995e6 ? 1 : 0) + ' MB';
  return (n / 1e9).toFixed(1) + ' GB';
}

const numberFormat = new Intl.NumberFormat('en');

// formatCount is a number with separators.
function formatCount(n) { return numberFormat.format(n); }

// plural is a count with its noun.
function plural(n, noun) { return formatCount(n) + ' ' + noun + (n === 1 ? '' : 's'); }

function clamp(v, low, high) { return Math.max(low, Math.min(high, v)); }

// search returns the index of the first entry of a sorted list for which at least(entry) holds.
function search(list, atLeast) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (atLeast(list[mid])) high = mid; else low = mid + 1;
  }
  return low;
}

// readJSON is the content of a data element, or null without one.
function readJSON(id) {
  const e = $(id);
  return e ? JSON.parse(e.textContent) : null;
}

const meta = readJSON('meta') || {types: {}, flags: {}};

function typeName(type) {
  return typeof type === 'string' ? type : meta.types[type] || 'UNKNOWN_0x' + type.toString(16);
}

// flagNames is the flags of a frame by name; bits without a name are a number.
function flagNames(type, flags) {
  const known = meta.flags[type] || {};
  const out = [];
  let rest = flags;
  for (let bit = 1; bit < 256; bit <<= 1) {
    if (flags & bit && known[bit]) {
      out.push(known[bit]);
      rest &= ~bit;
    }
  }
  if (rest) out.push('0x' + rest.toString(16));
  return out;
}

const sideNames = ['client', 'server'];
const arrows = ['→', '←'];
const windowNames = ['', 'stream', 'connection', 'both'];
const severityNames = ['note', 'warning', 'error'];

// linkToSection links "RFC 9113 §5.1" to the RFC; other texts stay texts.
function linkToSection(section) {
  const m = /^RFC (\d{1,5}) §([\d.]+)$/.exec(section);
  if (!m) return document.createTextNode(section);
  return el('a', {
    href: 'https://www.rfc-editor.org/rfc/rfc' + m[1] + '#section-' + m[2],
    rel: 'noreferrer noopener', target: '_blank',
  }, section);
}

const colorNames = ['bg', 'panel', 'ink', 'muted', 'faint', 'line', 'zebra', 'select', 'accent', 'send', 'wait', 'head',
  'data', 'chunk', 'upload', 'bstream', 'bconn', 'bconc', 'network', 'error', 'warning', 'note', 'push', 'good', 'area'];

let palette = {};

// readPalette takes the colours of the canvases from the style sheet.
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  palette = {patterns: {}};
  for (const name of colorNames) palette[name] = style.getPropertyValue('--' + name).trim();
  palette.font = style.getPropertyValue('--font').trim();
  palette.mono = style.getPropertyValue('--mono').trim();
}

// hatch is a pattern of slanted lines, so that what is blocked is told apart without colours, too.
function hatch(ctx, color, slant) {
  const key = color + slant;
  if (!palette.patterns[key]) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = 6;
    const c = tile.getContext('2d');
    c.fillStyle = color;
    c.globalAlpha = 0.28;
    c.fillRect(0, 0, 6, 6);
    c.globalAlpha = 1;
    c.strokeStyle = color;
    c.lineWidth = 1.8;
    c.beginPath();
    for (const d of [-6, 0, 6]) {
      if (slant) { c.moveTo(d, 6); c.lineTo(d + 6, 0); }
      if (slant !== 1) { c.moveTo(d, 0); c.lineTo(d + 6, 6); }
    }
    c.stroke();
    palette.patterns[key] = ctx.createPattern(tile, 'repeat');
  }
  return palette.patterns[key];
}
