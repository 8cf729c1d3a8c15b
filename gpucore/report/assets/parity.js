// The parity page: a heat map and a table over DATA.rows, filtered together; a click opens the worst element.
// A row is [pass, kernel, case, passed, share, maxAbs, l2, ulp50, ulp99, specials, repeatable, seconds, worst, error].
const [PASS, KERNEL, CASE, OK, SHARE, MAX, L2, U50, U99, SPECIALS, REPEAT, SECONDS, WORST, ERROR] = Array(14).keys();
const SHOWN = 200;
const $ = (id) => document.getElementById(id);
const state = { column: SHARE, down: true, all: false };

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const asNumber = (v) => (typeof v === "string" ? { nan: NaN, inf: Infinity, "-inf": -Infinity }[v] : v);
const show = (v, digits = 3) => (typeof v === "number" ? (v === 0 ? "0" : String(Number(v.toPrecision(digits)))) : v);
const level = (row) => (row[OK] ? [0.001, 0.03, 0.2, 0.5].filter((edge) => asNumber(row[SHARE]) > edge).length : -1);
const caseName = (row) => DATA.kernels[row[KERNEL]].cases[row[CASE]];
const yes = (flag) => (flag ? "yes" : "NO");

function chosen() {
  const pass = Number($("pass").value), family = $("family").value, words = $("search").value.toLowerCase();
  return DATA.rows.filter((row) => {
    const kernel = DATA.kernels[row[KERNEL]];
    return row[PASS] === pass && (!family || kernel.family === family) && (!$("failed").checked || !row[OK]) &&
      (!words || `${kernel.name} ${caseName(row)}`.toLowerCase().includes(words));
  });
}

function drawHeat(rows) {
  const nodes = [], byKernel = Map.groupBy ? Map.groupBy(rows, (r) => r[KERNEL]) : group(rows);
  let family = null;
  for (const [index, members] of byKernel) {
    const kernel = DATA.kernels[index];
    if (kernel.family !== family) nodes.push(make("h3", { textContent: (family = kernel.family) }));
    const cells = make("div", { className: "cells" });
    for (const row of members) {
      const step = level(row);
      const said = `${kernel.name}, case ${caseName(row)}: ` + (row[OK] ? `error ${show(row[SHARE])} of the tolerance` : "FAILED");
      const cell = make("button", { className: `cell ${step < 0 ? "fail" : "h" + step}`, title: said, textContent: step < 0 ? "×" : "" });
      cell.setAttribute("aria-label", said);
      cell.addEventListener("click", () => open(row));
      cells.append(cell);
    }
    nodes.push(make("div", { className: "name", textContent: kernel.name, title: kernel.formula }), cells);
  }
  $("heat").replaceChildren(...(nodes.length ? nodes : ["Nothing matches."]));
}

function group(rows) {
  const found = new Map();
  for (const row of rows) found.set(row[KERNEL], [...(found.get(row[KERNEL]) ?? []), row]);
  return found;
}

function drawTable(rows) {
  const value = (row) => (state.column === KERNEL ? DATA.kernels[row[KERNEL]].name : state.column === CASE ? caseName(row) : asNumber(row[state.column]));
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    const by = typeof x === "string" ? x.localeCompare(y) : (isNaN(y) ? -1 : isNaN(x) ? 1 : x === y ? 0 : x - y);
    return state.down ? -by : by;
  };
  const sorted = [...rows].sort(order), visible = state.all ? sorted : sorted.slice(0, SHOWN);
  $("rows").replaceChildren(...visible.map((row) => {
    const kernel = DATA.kernels[row[KERNEL]];
    const line = make("tr", { className: "pick", tabIndex: 0 });
    const put = (text, className = "") => line.append(make("td", { textContent: text, className }));
    put(kernel.name); put(caseName(row), "mono"); put(row[OK] ? "passed" : "FAILED", row[OK] ? "good" : "bad");
    for (const column of [SHARE, MAX, L2, U50, U99]) put(show(row[column]), "num");
    put(yes(row[SPECIALS])); put(row[REPEAT] === null ? "not run" : yes(row[REPEAT])); put(show(row[SECONDS] * 1000), "num");
    line.addEventListener("click", () => open(row));
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") open(row); });
    return line;
  }));
  $("count").textContent = `${rows.length} rows, ${rows.filter((r) => !r[OK]).length} failed`;
  $("more").hidden = visible.length === rows.length;
  $("more").textContent = `Show all ${rows.length} rows`;
}

function open(row) {
  const kernel = DATA.kernels[row[KERNEL]], worst = row[WORST];
  const facts = [["formula", kernel.formula], ["case", caseName(row)], ["pass", DATA.passes[row[PASS]]],
    ["result", row[OK] ? "passed" : "FAILED"], ["error as a share of the tolerance", show(row[SHARE])],
    ["tolerance", kernel.tolerance], ["max abs", show(row[MAX])], ["relative L2", show(row[L2])],
    ["shader", `${kernel.shader}.wgsl, ${kernel.hash}`]];
  if (row[ERROR]) facts.push(["error", row[ERROR]]);
  if (worst) {
    facts.push(["worst element", `${worst[0]}[${worst[1].join(", ")}]`], ["the device gave", show(worst[2], 9)], ["the reference", show(worst[3], 9)]);
    for (const [name, v] of Object.entries(worst[4])) facts.push([`input ${name} there`, show(v, 9)]);
  } else if (!row[ERROR]) facts.push(["worst element", "none, the output is empty"]);
  $("detail-title").textContent = kernel.name;
  $("detail-facts").replaceChildren(...facts.map(([k, v]) => make("div", {}, make("dt", { textContent: k }), make("dd", { textContent: v, className: "mono" }))));
  $("detail").showModal();
}

function draw() {
  const rows = chosen();
  drawHeat(rows);
  drawTable(rows);
}

for (const id of ["pass", "family", "failed", "search"]) $(id).addEventListener("input", () => { state.all = false; draw(); });
$("more").addEventListener("click", () => { state.all = true; draw(); });
for (const head of document.querySelectorAll("th[data-key]")) {
  head.tabIndex = 0;
  const sort = () => {
    const column = Number(head.dataset.key);
    state.down = state.column === column ? !state.down : column > OK;
    state.column = column;
    document.querySelectorAll("th[data-key]").forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    drawTable(chosen());
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
}
draw();
