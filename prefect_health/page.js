"use strict";

const subjects = JSON.parse(document.getElementById("subjects").textContent);
const rules = JSON.parse(document.getElementById("tile-rules").textContent);
const filters = document.getElementById("filters");
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// Rows that a table has more than it shows.
function expand(table) {
  const rest = document.querySelector(`template[data-of="${table.id}"]`);
  if (!rest) return;
  table.tBodies[0].append(rest.content);
  rest.remove();
  document.querySelector(`.more[data-of="${table.id}"]`).remove();
  table.querySelector(".of").remove();
  tellLocalTimes(table);
}

all(".more").forEach((button) => {
  button.addEventListener("click", () => expand(document.getElementById(button.dataset.of)));
});

// Filters: a row stays if the flow, or the deployment, that it is about has all that was chosen. They are in the address.
function chosen() {
  return [...new FormData(filters)].filter(([, value]) => value !== "");
}

function chosenSubjects() {
  const wanted = chosen();
  return subjects.filter((subject) => wanted.every(([key, value]) => [subject[key]].flat().includes(value)));
}

// A row with a deployment, though it be none, is about these runs alone; another one is about a flow with all of them.
// A row without a flow is about a table, a workspace, or flows that share an error.
function filterRows(kept) {
  const names = new Set();
  for (const { workspace, flow, deployment } of kept) {
    for (const name of [[workspace ?? "", flow], [workspace ?? "", flow, deployment ?? ""]]) names.add(JSON.stringify(name));
  }
  const has = (...name) => names.has(JSON.stringify(name));
  const workspaces = new Set(kept.map(({ workspace }) => workspace ?? ""));
  const written = new Set(kept.flatMap((subject) => Object.keys(subject.tables ?? {})));
  for (const row of all("tbody tr")) {
    const { workspace = "", flow, flows, deployment, table } = row.dataset;
    if (table !== undefined) row.hidden = !written.has(table);
    else if (flows !== undefined) row.hidden = !JSON.parse(flows).some((name) => has(workspace, name));
    else if (flow === undefined) row.hidden = workspace !== "" && !workspaces.has(workspace);
    else row.hidden = deployment === undefined ? !has(workspace, flow) : !has(workspace, flow, deployment);
  }
  for (const trouble of all(".troubles li")) {
    trouble.hidden = !JSON.parse(trouble.dataset.subjects).some((name) => has(...name));
  }
  const labels = new Set(kept.map((subject) => subject.label));
  for (const mark of all("[data-label]")) mark.toggleAttribute("hidden", !labels.has(mark.dataset.label));
}

// The tiles: the figures of what was chosen, as prefect_health/tiles.py sums them up. A table that several write counts once.
function figures(kept) {
  const found = Object.fromEntries(rules.summed.map((key) => [key, kept.reduce((total, subject) => total + (subject[key] ?? 0), 0)]));
  const states = Object.values(Object.assign({}, ...kept.map((subject) => subject.tables)));
  const longest = kept.reduce((most, subject) => ((subject.longest ?? -1) > (most?.longest ?? -1) ? subject : most), null);
  const [n, earlierN] = [found.succeeded + found.failed, found.earlier_succeeded + found.earlier_failed];
  const rate = n ? found.succeeded / n : null;
  return {
    ...found,
    success_rate: rate,
    success_note: successNote(rate, n, found.earlier_succeeded / earlierN, earlierN),
    running_note: longest?.longest == null ? "at the last sync" : `longest for ${longest.longest_shown}`,
    tables: states.length,
    stale: states.filter((state) => ["stale", "dead", "failing"].includes(state)).length,
    unknown: states.filter((state) => state === "unknown").length,
  };
}

function successNote(rate, n, earlierRate, earlierN) {
  if (rate === null) return "no run has ended";
  if (Math.min(n, earlierN) < rules.trend_minimum) return `of ${n.toLocaleString("en")} runs; ${earlierN.toLocaleString("en")} before: too few for a trend`;
  const points = 100 * (rate - earlierRate);
  const change = Math.abs(points) < 0.05 ? "= 0.0" : `${points > 0 ? "▲ +" : "▼ -"}${Math.abs(points).toFixed(1)}`;
  return `of ${n.toLocaleString("en")} runs; ${change} points against ${earlierN.toLocaleString("en")} before`;
}

// What is not all is not shown as 100, and what is not nothing not as 0.
function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1";
  if (share < 1 && share >= 0.9995) return "> 99.9";
  return (100 * share).toFixed(1);
}

function fillTiles(kept) {
  const found = figures(kept);
  for (const { id, note, of } of rules.tiles) {
    const [link, figure] = [document.querySelector(`[data-tile=${id}]`), found[id]];
    const tile = link.closest(".tile");
    link.dataset.value = figure ?? "";
    link.textContent = figure === null ? "—" : id === "success_rate" ? `${percent(figure)} %` : figure.toLocaleString("en");
    tile.querySelector(".note").textContent = note.replaceAll(/{(\w+)}/g, (_, key) => found[key].toLocaleString("en"));
    tile.classList.toggle("bad", of !== "" && figure > 0);
    tile.classList.toggle("good", of !== "" && found[of] > 0 && figure === 0);
  }
}

function filter() {
  const kept = chosenSubjects();
  if (kept.length < subjects.length) all("table").forEach(expand);
  filterRows(kept);
  if (document.querySelector(".tiles")) fillTiles(kept);
  filters.querySelector("output").textContent =
    kept.length === subjects.length ? "" : "Figures and rows by flow are of what was chosen. Days, hours and the picture of lineage are of everything, owners and edges of the workspaces.";
  const wanted = new URLSearchParams(chosen()).toString();
  history.replaceState(null, "", `${location.pathname}${wanted && `?${wanted}`}${location.hash}`);
}

// The age of the data, by the clock of whoever looks at it.
function span(seconds) {
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

function tellAge() {
  const age = document.getElementById("age");
  if (!age) return;
  const seconds = Math.max(0, (Date.now() - new Date(age.querySelector("time").dateTime)) / 1000);
  const old = seconds > Number(age.dataset.oldAfter);
  age.classList.toggle("old", old);
  age.querySelector("span").textContent = `${span(seconds)} ago${old ? ": this is old" : ""}`;
}

tellAge();
setInterval(tellAge, 60_000);

// The device's own time beside UTC: at the top for all to see, in tables under the pointer.
const isElsewhere = new Date().getTimezoneOffset() !== 0;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const day = new Intl.DateTimeFormat("en-GB", { month: "short", day: "numeric" });

function local(text) {
  const at = new Date(text);
  return at.getDate() === at.getUTCDate() ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

function tellLocalTimes(inside) {
  if (!isElsewhere) return;
  for (const cell of all("td.time[data-value]", inside)) {
    if (cell.dataset.value) cell.title = local(cell.dataset.value);
  }
}

if (isElsewhere) {
  for (const time of all("time")) {
    time.textContent += ` (${local(time.dateTime)})`;
  }
}
tellLocalTimes(document);

// Tables: a click on a heading sorts by it, another turns the order round. Rows without a value stay at the end.
const held = (cell) => cell.dataset.value ?? cell.textContent.trim();

function compare(left, right) {
  const [a, b] = [Number(left), Number(right)];
  return Number.isNaN(a) || Number.isNaN(b) ? left.localeCompare(right) : a - b;
}

function sort(heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  const table = heading.closest("table");
  expand(table);
  const value = (row) => held(row.cells[heading.cellIndex]);
  const rows = [...table.tBodies[0].rows].sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return ascending ? compare(a, b) : compare(b, a);
  });
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

// The headings of a table are one stop of the Tab key; arrows lead from one to the next.
all("thead").forEach((head) => {
  const buttons = all("button", head);
  head.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(button.closest("th"));
  });
  head.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && buttons[buttons.indexOf(document.activeElement) + step];
    if (!next) return;
    document.activeElement.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
});

// What is wider than its place can be scrolled by keys. Where days go on, the newest are seen first.
for (const place of all(".scroll")) {
  if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
  if (place.querySelector("#days-chart, #durations-chart")) place.scrollLeft = place.scrollWidth;
}

// Last: what is chosen in the address may show more rows.
if (filters) {
  filters.hidden = false;
  for (const [key, value] of new URLSearchParams(location.search)) {
    const box = filters.elements.namedItem(key);
    if (box instanceof HTMLSelectElement) box.value = [...box.options].some((option) => option.text === value) ? value : "";
  }
  if (chosen().length) filter();
  filters.addEventListener("change", filter);
  filters.querySelector("button").addEventListener("click", () => {
    filters.reset();
    filter();
  });
}
