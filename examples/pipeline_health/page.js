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
    margin: { t: 10, r: 10, b: 40, l: 48 },
    legend: { orientation: "h", yanchor: "bottom", y: 1.02, x: 0, ...figure.layout.legend },
    hoverlabel: { bgcolor: pageColour("--card"), font: { color: pageColour("--ink") } },
    xaxis: { ...axis, ...figure.layout.xaxis },
    yaxis: { ...axis, ...figure.layout.yaxis },
  };
  chart.style.minWidth = `${figure.layout.meta?.min_width ?? 0}px`;
  Plotly.react(chart, figure.data, layout, { responsive: true, displayModeBar: false }).then(() => {
    if (chart.dataset.drawn) return;
    chart.dataset.drawn = "yes";
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
  const flows = new Set(kept.map((subject) => escaped(subject.flow)));
  if (kind === "traces") {
    figure.data = figure.data.map((trace) => ({ ...trace, visible: flows.has(trace.name) }));
  } else {
    const grid = figure.data[0];
    const rows = grid.y.map((flow, number) => [flow, number]).filter(([flow]) => flows.has(flow));
    for (const key of ["y", "z", "text", "customdata"]) grid[key] = rows.map(([, number]) => grid[key][number]);
    figure.layout.height = 110 + 34 * rows.length;
  }
  return figure;
}

function filterRows() {
  const kept = chosenSubjects();
  const names = new Set(kept.flatMap(({ flow, deployment }) => [JSON.stringify([flow]), JSON.stringify([flow, deployment])]));
  for (const row of document.querySelectorAll("tr[data-flow]")) {
    const { flow, deployment } = row.dataset;
    row.hidden = !names.has(JSON.stringify(deployment === undefined ? [flow] : [flow, deployment]));
  }
  filters.querySelector("output").textContent =
    kept.length === subjects.length ? "" : "The rows and charts of flows are filtered; the figures at the top are not.";
  drawAll();
}

filters?.addEventListener("change", filterRows);
filters?.querySelector("button").addEventListener("click", () => {
  filters.reset();
  filterRows();
});

function drawAll() {
  document.querySelectorAll("script[data-chart]").forEach(draw);
}

drawAll();
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
