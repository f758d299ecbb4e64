"use strict";
(function () {
  const settings = JSON.parse(document.getElementById("report-data").textContent);
  const NARROW = 560;
  const PRINT_WIDTH = 700;
  const chosen = {};

  document.documentElement.classList.add("js");
  const nav = document.querySelector("nav");
  const menu = nav.querySelector("button");
  const setMenu = (isOpen) => { nav.classList.toggle("open", isOpen); menu.setAttribute("aria-expanded", isOpen); };
  menu.addEventListener("click", () => setMenu(!nav.classList.contains("open")));
  nav.querySelector("div").addEventListener("click", (event) => { if (event.target.closest("a")) setMenu(false); });

  Plotly.register({ moduleType: "locale", name: "report", dictionary: settings.words.plotly, format: {} });

  const isNarrow = (width) => width < NARROW;

  function heightOf(box, width) {
    return Number(isNarrow(width) ? box.dataset.narrowHeight : box.dataset.height);
  }

  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = {
    circle: "M11 2.5a5.5 5.5 0 1 0 .01 0z", "circle-open": "M11 1.5a6.5 6.5 0 1 0 .01 0z",
    square: "M6 3h10v10H6z", diamond: "M11 1l7 7-7 7-7-7z", "triangle-up": "M11 2l7 12H4z",
    cross: "M9 2h4v4h4v4h-4v4H9v-4H5V6h4z", x: "M7 2l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z",
    pentagon: "M11 1l7 5.4-2.6 8.1H6.600L4 6.400z", hexagon: "M7 2h8l4 6-4 6H7L3 8z",
  };
  const DASHES = { dash: "5 3", dot: "2 2", dashdot: "6 2 2 2" };

  // Text of a trace's name, which holds the entities and breaks that plotly understands.
  function plain(name) {
    return name.replaceAll("<br>", " ").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  }

  function shape(tag, attributes) {
    const node = document.createElementNS(SVG, tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    return node;
  }

  function icon(trace) {
    const svg = shape("svg", { viewBox: "0 0 22 16", width: 22, height: 16, "aria-hidden": true });
    const mode = trace.mode ?? "";
    if (trace.fill) svg.append(shape("rect", { x: 1, y: 3, width: 20, height: 10, fill: trace.fillcolor }));
    else if (mode.includes("lines")) {
      svg.append(shape("line", { x1: 0, x2: 22, y1: 8, y2: 8, stroke: trace.line.color, "stroke-width": 2.5,
        "stroke-dasharray": DASHES[trace.line.dash] ?? "none" }));
    }
    if (mode.includes("markers")) {
      const marker = trace.marker;
      const isOpen = (marker.symbol ?? "circle").endsWith("-open");
      const colour = marker.line?.color && marker.line.color !== "#ffffff" ? marker.line.color : marker.color;
      svg.append(shape("path", { d: SHAPES[marker.symbol ?? "circle"], fill: isOpen ? "none" : colour,
        stroke: isOpen ? colour : "none", "stroke-width": 2.5 }));
    }
    return svg;
  }

  const hiddenNames = {};

  // One button a series above the figure; pressing it hides or shows the series.
  function legend(box, data) {
    const named = data.filter((trace) => trace.name && trace.showlegend !== false && trace.type === "scatter");
    let list = box.previousElementSibling;
    if (!list?.classList.contains("legend")) {
      list = document.createElement("div");
      list.className = "legend";
      box.before(list);
    }
    list.replaceChildren(...(named.length < 2 ? [] : named).map((trace) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", !hiddenNames[box.id]?.has(trace.name));
      button.append(icon(trace), plain(trace.name));
      button.addEventListener("click", () => {
        const names = hiddenNames[box.id] ??= new Set();
        if (!names.delete(trace.name)) names.add(trace.name);
        draw(box, Math.floor(box.clientWidth));
      });
      return button;
    }));
  }

  // Draws a figure at a given width; redraws in place when it is there already.
  function draw(box, width) {
    if (width < 120) return;
    const figure = settings.figures[box.id];
    const variant = figure.variants[chosen[box.id] ?? figure.first];
    const height = heightOf(box, width);
    box.style.height = height + "px";
    const layout = Object.assign(structuredClone(variant.layout),
      isNarrow(width) ? structuredClone(variant.narrow) : {}, { width, height, autosize: false, showlegend: false });
    const data = structuredClone(variant.data);
    const hidden = hiddenNames[box.id] ?? new Set();
    const isHidden = (trace) => data.some((other) => hidden.has(other.name) &&
      (other === trace || (trace.legendgroup && trace.legendgroup === other.legendgroup)));
    data.forEach((trace) => { trace.visible = !isHidden(trace); });
    legend(box, data);
    Plotly.react(box, data, layout, {
      displaylogo: false,
      displayModeBar: figure.tools && !isNarrow(width) ? "hover" : false,
      modeBarButtons: [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      locale: "report",
      doubleClick: figure.tools ? "reset" : false,
      scrollZoom: false,
    });
    box.dataset.drawn = width;
  }

  const boxes = Array.from(document.querySelectorAll(".figure"));
  const drawAll = () => boxes.forEach((box) => draw(box, Math.floor(box.clientWidth)));

  let waiting = 0;
  let isPrinting = false;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      if (isPrinting) return;
      boxes.filter((box) => Math.floor(box.clientWidth) !== Number(box.dataset.drawn))
        .forEach((box) => draw(box, Math.floor(box.clientWidth)));
    });
  });
  window.addEventListener("beforeprint", () => {
    isPrinting = true;
    boxes.forEach((box) => draw(box, box.closest(".pair") ? (PRINT_WIDTH - 24) / 2 : PRINT_WIDTH));
  });
  window.addEventListener("afterprint", () => { isPrinting = false; drawAll(); });

  document.querySelectorAll(".switch").forEach((group) => {
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      group.querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", other === button));
      const box = document.getElementById(group.dataset.target);
      chosen[box.id] = button.dataset.variant;
      draw(box, Math.floor(box.clientWidth));
    });
  });

  function compare(a, b) {
    const x = Number(a), y = Number(b);
    if (a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    return a.localeCompare(b, settings.words.lang);
  }

  document.querySelectorAll("thead button").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const column = Array.from(head.parentElement.children).indexOf(head);
      const first = head.classList.contains("num") ? "descending" : "ascending";
      const now = head.getAttribute("aria-sort");
      const direction = now === null ? first : now === "ascending" ? "descending" : "ascending";
      head.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const body = head.closest("table").tBodies[0];
      const key = (row) => row.cells[column].dataset.sort ?? "";
      const rows = Array.from(body.rows).sort((a, b) => {
        if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
        return direction === "ascending" ? compare(key(a), key(b)) : compare(key(b), key(a));
      });
      const limit = Array.from(body.rows).filter((row) => !row.classList.contains("later")).length;
      rows.forEach((row, index) => { row.classList.toggle("later", index >= limit); body.append(row); });
    });
  });

  function filterTable(table) {
    const word = document.querySelector(`[data-filter="${table.id}"]`).value.trim().toLowerCase();
    const groups = document.querySelector(`[data-groups="${table.id}"]`);
    const on = new Set(Array.from(groups.querySelectorAll("input:checked"), (input) => input.value));
    Array.from(table.tBodies[0].rows).forEach((row) => {
      const hasWord = row.cells[0].dataset.sort.toLowerCase().includes(word);
      row.hidden = !(hasWord && on.has(row.dataset.group));
    });
    const isWhole = word === "" && on.size === groups.querySelectorAll("input").length;
    const more = document.querySelector(`[data-more="${table.id}"]`);
    if (more && !isWhole && !more.dataset.open) more.click();
    const rows = Array.from(table.tBodies[0].rows);
    const shown = rows.filter((row) => !row.hidden).length;
    document.querySelector(`[data-count="${table.id}"]`).textContent =
      shown === rows.length ? "" : settings.words.count.replace("{shown}", shown).replace("{all}", rows.length);
  }
  document.querySelectorAll("[data-filter], [data-groups]").forEach((tool) => {
    tool.addEventListener("input", () => filterTable(document.getElementById(tool.dataset.filter ?? tool.dataset.groups)));
  });

  document.querySelectorAll("[data-cards]").forEach((tool) => {
    tool.addEventListener("input", () => {
      const on = new Set(Array.from(tool.querySelectorAll("input:checked"), (input) => input.value));
      document.getElementById(tool.dataset.cards).querySelectorAll("[data-kind]")
        .forEach((card) => { card.hidden = !on.has(card.dataset.kind); });
    });
  });

  document.querySelectorAll("[data-more]").forEach((button) => {
    const closed = button.textContent;
    let isOpen = false;
    button.addEventListener("click", () => {
      isOpen = !isOpen;
      button.dataset.open = isOpen ? "yes" : "";
      const target = document.getElementById(button.dataset.more);
      target.querySelectorAll("tbody tr, .card").forEach((item) => item.classList.toggle("shown", isOpen));
      button.textContent = isOpen ? settings.words.fewer : closed;
      if (!isOpen) target.scrollIntoView({ block: "nearest" });
    });
  });

  const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    });
  }, { rootMargin: "-20% 0px -70% 0px" });
  links.forEach((_link, id) => watcher.observe(document.getElementById(id)));

  drawAll();
})();
