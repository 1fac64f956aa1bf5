"use strict";

// Charts: drawn in the colours of the page, again when they change; a click leads to the run behind a point.
const darkColours = JSON.parse(document.getElementById("dark-colours").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");

function recoloured(value) {
  if (typeof value === "string") return darkColours[value] ?? value;
  if (Array.isArray(value)) return value.map(recoloured);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, recoloured(inner)]));
  }
  return value;
}

function pageColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function draw(source) {
  const inLight = narrowed(JSON.parse(source.textContent));
  const figure = dark.matches ? recoloured(inLight) : inLight;
  const chart = document.getElementById(source.dataset.chart);
  const axis = { gridcolor: pageColour("--line"), zeroline: false, automargin: true, fixedrange: true };
  const layout = {
    height: 340,
    ...figure.layout,
    template: "none",
    font: { family: "system-ui, sans-serif", size: 13, color: pageColour("--ink") },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    margin: { t: 10, r: 24, b: 40, l: 48 },
    legend: { orientation: "h", yanchor: "bottom", y: 1.02, x: 0, ...figure.layout.legend },
    hoverlabel: { bgcolor: pageColour("--card"), font: { color: pageColour("--ink") } },
    xaxis: { ...axis, ...figure.layout.xaxis },
    yaxis: { ...axis, ...figure.layout.yaxis },
  };
  chart.style.minWidth = `${figure.layout.meta?.min_width ?? 0}px`;
  Plotly.react(chart, figure.data, layout, { responsive: true, displayModeBar: false }).then(() => {
    const again = chart.dataset.drawn;
    chart.dataset.drawn = dark.matches ? "dark" : "light";
    if (again) return;
    // Where a chart is wider than its place, the newest days are seen first.
    if (figure.layout.meta?.newest_last) chart.parentElement.scrollLeft = chart.parentElement.scrollWidth;
    chart.on("plotly_click", (event) => {
      const url = event.points[0]?.customdata;
      if (/^https?:/.test(url ?? "")) window.open(url, "_blank", "noopener");
    });
  });
}

// Filters: a row stays if the flow, or the deployment, that it is about has all that was chosen.
const subjects = JSON.parse(document.getElementById("subjects").textContent);
const filters = document.getElementById("filters");

function chosenSubjects() {
  const chosen = [...new FormData(filters ?? undefined)].filter(([, value]) => value !== "");
  return subjects.filter((subject) => chosen.every(([key, value]) => [subject[key]].flat().includes(value)));
}

function escaped(name) {
  return name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function narrowed(figure) {
  const kind = figure.layout.meta?.filter;
  const kept = chosenSubjects();
  if (!kind || kept.length === subjects.length) return figure;
  const flows = new Set(kept.map((subject) => escaped(subject.label)));
  if (kind === "traces") {
    figure.data = figure.data.map((trace) => ({ ...trace, visible: flows.has(trace.name) }));
  } else {
    const grid = figure.data[0];
    const rows = grid.y.map((flow, number) => [flow, number]).filter(([flow]) => flows.has(flow));
    for (const key of ["y", "z", "text", "hovertext", "customdata"]) grid[key] = rows.map(([, number]) => grid[key][number]);
    figure.layout.height = 110 + 34 * rows.length;
  }
  return figure;
}

// A row with a deployment, though it be none, is about these runs alone; another one is about a flow with all of them.
// A row without a flow is about a table, or a workspace.
function filterRows(kept) {
  const names = new Set();
  for (const { workspace, flow, deployment } of kept) {
    for (const name of [[workspace ?? "", flow], [workspace ?? "", flow, deployment ?? ""]]) names.add(JSON.stringify(name));
  }
  const workspaces = new Set(kept.map(({ workspace }) => workspace ?? ""));
  const written = new Set(kept.flatMap((subject) => Object.keys(subject.tables ?? {})));
  for (const row of document.querySelectorAll("tbody tr")) {
    const { workspace = "", flow, deployment, table } = row.dataset;
    if (table !== undefined) row.hidden = !written.has(table);
    else if (flow === undefined) row.hidden = workspace !== "" && !workspaces.has(workspace);
    else row.hidden = !names.has(JSON.stringify(deployment === undefined ? [workspace, flow] : [workspace, flow, deployment]));
  }
}

// The tiles: the figures of what was chosen, summed up. A table that several write counts once.
const trendMinimum = JSON.parse(document.getElementById("trend-minimum").textContent);

// What is not all is not shown as 100, and what is not nothing not as 0.
function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1";
  if (share < 1 && share >= 0.9995) return "> 99.9";
  return (100 * share).toFixed(1);
}

function successNote(rate, n, earlierRate, earlierN) {
  if (Math.min(n, earlierN) < trendMinimum) return `of ${n.toLocaleString("en")} runs; ${earlierN.toLocaleString("en")} before: too few for a trend`;
  const points = 100 * (rate - earlierRate);
  const change = Math.abs(points) < 0.05 ? "= 0.0" : `${points > 0 ? "▲ +" : "▼ −"}${Math.abs(points).toFixed(1)}`;
  return `of ${n.toLocaleString("en")} runs; ${change} points against ${earlierN.toLocaleString("en")} before`;
}

function fillTiles(kept) {
  const sum = (key) => kept.reduce((total, subject) => total + (subject[key] ?? 0), 0);
  const [runs, succeeded, failed, slots, missedEver] = ["runs", "succeeded", "failed", "slots", "missed_ever"].map(sum);
  const [n, earlierN] = [succeeded + failed, sum("earlier_succeeded") + sum("earlier_failed")];
  const [rate, earlierRate] = [succeeded / n, sum("earlier_succeeded") / earlierN];
  const longest = kept.reduce((most, subject) => ((subject.longest ?? -1) > (most?.longest ?? -1) ? subject : most), null);
  const tables = Object.values(Object.assign({}, ...kept.map((subject) => subject.tables)));
  const having = (...states) => tables.filter((state) => states.includes(state)).length;
  // An id, its figure, the words below it; and for what is bad unless it is 0, of how many it could be some.
  const filled = [
    ["runs", runs, "in 30 days and today"],
    ["success-rate", n ? rate : null, n ? successNote(rate, n, earlierRate, earlierN) : "no run has ended"],
    ["failed", failed, "failed or crashed"],
    ["unresolved", sum("unresolved"), "failed, nothing succeeded since", runs],
    ["running", sum("running"), longest?.longest == null ? "at the last sync" : `longest for ${longest.longest_shown}`],
    ["stuck", sum("stuck"), "much longer than usual", runs],
    ["late", sum("late"), "due, not begun", runs],
    ["missed", sum("missed"), `since the last kept; ${missedEver.toLocaleString("en")} of ${slots.toLocaleString("en")} in these days`, slots],
    ["stale", having("stale", "dead", "failing"), `dead or failing, of ${tables.length}; ${having("unknown")} unknown`, tables.length],
  ];
  for (const [id, figure, note, outOf] of filled) {
    const link = document.querySelector(`[data-tile=${id}]`);
    const tile = link.closest(".tile");
    link.dataset.value = figure ?? "";
    link.textContent = figure === null ? "—" : id === "success-rate" ? `${percent(figure)} %` : figure.toLocaleString("en");
    tile.querySelector(".note").textContent = note;
    tile.classList.toggle("bad", outOf !== undefined && figure > 0);
    tile.classList.toggle("good", outOf > 0 && figure === 0);
  }
}

function filter() {
  const kept = chosenSubjects();
  filterRows(kept);
  if (document.querySelector(".tiles")) fillTiles(kept);
  if (filters) {
    filters.querySelector("output").textContent =
      kept.length === subjects.length ? "" : "Figures, tables and charts by flow are of what was chosen. Hours, the bars of days and the picture of lineage are of everything, owners and edges of the workspaces.";
  }
  drawAll();
}

filters?.addEventListener("change", filter);
filters?.querySelector("button").addEventListener("click", () => {
  filters.reset();
  filter();
});

function drawAll() {
  document.querySelectorAll("script[data-chart]").forEach(draw);
}

filter();
dark.addEventListener("change", drawAll);
narrow.addEventListener("change", drawAll);

// Tables: a click on a heading sorts by it, another turns the order round. Rows without a value stay at the end.
function compare(left, right) {
  const [a, b] = [Number(left), Number(right)];
  return Number.isNaN(a) || Number.isNaN(b) ? left.localeCompare(right) : a - b;
}

function sort(heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  const body = heading.closest("table").tBodies[0];
  const value = (row) => row.cells[heading.cellIndex].dataset.value;
  const rows = [...body.rows].sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return ascending ? compare(a, b) : compare(b, a);
  });
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...rows);
}

document.querySelectorAll("th button").forEach((button) => {
  button.addEventListener("click", () => sort(button.closest("th")));
});

// A long table shows its first rows, and how many there are.
document.querySelectorAll("table.long").forEach((table) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "more";
  button.textContent = `Show all ${table.tBodies[0].rows.length} rows`;
  button.addEventListener("click", () => {
    table.classList.remove("long");
    button.remove();
  });
  table.parentElement.after(button);
});
