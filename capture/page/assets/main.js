// The events, a line each.
const lines = document.getElementById('lines');
const data = document.getElementById('events');
if (data) {
  lines.textContent = data.textContent;
} else {
  const source = new EventSource('events');
  source.onmessage = (m) => lines.append(m.data + '\n');
}
