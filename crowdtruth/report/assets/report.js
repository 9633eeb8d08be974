"use strict";
(() => {
  // What is folded away is opened for the printer, and folded again after.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => { details.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));
})();
(() => {
  const source = document.getElementById("queue-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const UNDETECTED = data.classes.length - 1;
  const HOW = { click: "accepted a suggestion", polygon: "traced an outline", box: "drew a box" };
  const el = (id) => document.getElementById(id);
  const has_boxes = Boolean(el("view"));
  let shown = [];
  let at = 0;
  let condition = "";

  function make(name, text, className) {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  function draw(parent, name, attributes) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  const class_name = (place) => data.classes[place][0];
  const group_words = (one) => [one.cohort === "all" ? "all raters" : one.cohort, ...(one.condition === "all" ? [] : [one.condition])].join(", ");
  const main_of = (item) => item.inferred.find((one) => one.is_main);

  // ---- filters -----------------------------------------------------------------------------------------------

  function filters() {
    return { class: el("filter-class").value, rater: el("filter-rater").value, differs: el("filter-differs").checked };
  }

  function inferred_for(item, rater, under) {
    // what a rater differs from: the label inferred for the anchor under the same condition, of the cohort shown first
    return (item.inferred.find((one) => one.condition === under && one.cohort === item.cohort) || main_of(item)).label;
  }

  function matches(item, chosen) {
    const wanted = chosen.class === "" ? -1 : Number(chosen.class);
    const who = chosen.rater === "" ? -1 : Number(chosen.rater);
    const own = who < 0 ? item.ratings : item.ratings.filter((one) => one[0] === who);
    if (who >= 0 && !own.length) return false;
    const is_class = wanted < 0 || own.some((one) => one[2] === wanted || one[3] === wanted)
      || item.inferred.some((one) => one.label === class_name(wanted));
    const differs = who < 0 || !chosen.differs || own.some((one) => class_name(one[2]) !== inferred_for(item, who, one[1]));
    return is_class && differs;
  }

  function describe(chosen) {
    const parts = [];
    if (chosen.class !== "") parts.push("class " + class_name(Number(chosen.class)));
    if (chosen.rater !== "") parts.push("rater " + data.raters[Number(chosen.rater)][0]);
    if (chosen.rater !== "" && chosen.differs) parts.push("who differs from the inferred label");
    return `Showing ${shown.length} of ${data.items.length} anchors` + (parts.length ? ": " + parts.join(", ") : "");
  }

  function apply(keep) {
    const chosen = filters();
    el("filter-differs").disabled = chosen.rater === "";
    const before = shown[at];
    shown = data.items.map((item, place) => place).filter((place) => matches(data.items[place], chosen));
    at = keep && shown.includes(before) ? shown.indexOf(before) : 0;
    el("state").textContent = describe(chosen);
    for (const name of ["export-csv", "export-coco"]) if (el(name)) el(name).disabled = !shown.length;
    fill_strip();
    show();
  }

  function remember() {
    const chosen = filters();
    const state = new URLSearchParams();
    if (chosen.class !== "") state.set("class", class_name(Number(chosen.class)));
    if (chosen.rater !== "") state.set("rater", data.raters[Number(chosen.rater)][0]);
    if (chosen.differs) state.set("differs", "1");
    if (shown.length) state.set("anchor", data.items[shown[at]].anchor);
    try {
      history.replaceState(null, "", "#hardest&" + state.toString());
    } catch (error) {
      if (error.name !== "SecurityError") throw error; // a page inside of another may not; the filters work all the same
    }
  }

  function recall() {
    if (!location.hash.startsWith("#hardest&")) return;
    const state = new URLSearchParams(location.hash.slice("#hardest&".length));
    const place = (list, name) => list.findIndex((entry) => entry[0] === name);
    const chosen_class = place(data.classes, state.get("class"));
    const chosen_rater = place(data.raters, state.get("rater"));
    if (chosen_class >= 0) el("filter-class").value = String(chosen_class);
    if (chosen_rater >= 0) el("filter-rater").value = String(chosen_rater);
    el("filter-differs").checked = state.get("differs") === "1";
    apply(false);
    const found = shown.findIndex((number) => data.items[number].anchor === state.get("anchor"));
    if (found >= 0) { at = found; show(); }
    el("hardest").scrollIntoView();
  }

  // ---- the anchor that is shown ------------------------------------------------------------------------------

  function fill_strip() {
    const strip = el("strip");
    strip.replaceChildren();
    shown.forEach((number, place) => {
      const button = make("button", String(number + 1));
      button.type = "button";
      const label = main_of(data.items[number]).label;
      const found = data.classes.find((entry) => entry[0] === label);
      button.style.borderBottomColor = found ? found[1] : "";
      button.setAttribute("aria-label", `Anchor ${number + 1}: ${label || "no label"}`);
      button.addEventListener("click", () => go(place));
      const entry = make("li");
      entry.append(button);
      strip.append(entry);
    });
  }

  function go(place) {
    if (place < 0 || place >= shown.length) return;
    at = place;
    show();
    remember();
  }

  function show() {
    const item = data.items[shown[at]];
    el("viewer").hidden = !item;
    el("previous").disabled = at <= 0;
    el("next").disabled = at >= shown.length - 1;
    el("place").textContent = item ? `${at + 1} of ${shown.length}` : "";
    el("strip").querySelectorAll("button").forEach((button, place) => {
      button.setAttribute("aria-current", String(place === at));
      if (place === at) button.parentNode.parentNode.scrollTop = button.offsetTop - button.parentNode.parentNode.offsetTop - 40;
    });
    if (!item) return;
    el("anchor-name").textContent = `${shown[at] + 1}. ${item.anchor}`;
    const fov = data.fovs[item.fov].fov;
    el("anchor-fov").textContent = (fov ? `FOV ${fov}. ` : "") + `Hardest for ${group_words(item)}: `
      + `entropy ${item.entropy.toFixed(2)}, disagreement ${item.disagreement.toFixed(2)}.`;
    fill_conditions(item);
    show_inferred(item);
    show_votes(item);
    if (has_boxes) show_view(item);
  }

  function show_inferred(item) {
    el("inferred").replaceChildren();
    const ordered = [...item.inferred].sort((one, other) => Number(other.is_main) - Number(one.is_main));
    for (const one of ordered) {
      const block = make("div", undefined, one.is_main ? "inferred main" : "inferred");
      block.append(make("div", `${group_words(one)}: ${one.label || "no label (too few marked it)"}`, "name"));
      if (one.is_main) {
        for (const [place, probability] of one.probabilities) {
          const line = make("div", undefined, "probability");
          const meter = make("meter");
          meter.max = 1;
          meter.value = probability;
          meter.setAttribute("aria-label", class_name(place));
          line.append(make("span", class_name(place)), meter, make("span", probability.toFixed(2)));
          block.append(line);
        }
      }
      el("inferred").append(block);
    }
  }

  const is_shown = (one) => !condition || one[1] === condition;

  function show_votes(item) {
    el("votes").className = condition ? "one" : "";
    const body = el("votes").tBodies[0];
    body.replaceChildren();
    const counts = new Map();
    const places = item.ratings.map((one, number) => number).filter((number) => is_shown(item.ratings[number]));
    for (const number of places) counts.set(item.ratings[number][2], (counts.get(item.ratings[number][2]) || 0) + 1);
    const common = (number) => counts.get(item.ratings[number][2]) * data.classes.length - item.ratings[number][2];
    places.sort((one, other) => common(other) - common(one)); // those who said the same stand together
    for (const number of places) {
      const [rater, under, said, label, , kind] = item.ratings[number];
      const row = make("tr");
      row.classList.toggle("differs", class_name(said) !== inferred_for(item, rater, under));
      row.classList.toggle("chosen", el("filter-rater").value === String(rater));
      const name = class_name(said) + (label !== said ? ` (${class_name(label)})` : "");
      const cell = make("td");
      const swatch = make("span", undefined, "swatch");
      swatch.style.background = data.classes[said][1];
      cell.append(swatch, name);
      row.append(make("td", data.raters[rater][0]), make("td", data.raters[rater][1]), make("td", under), cell,
        make("td", said === UNDETECTED ? "marked nothing" : HOW[kind] || ""));
      row.addEventListener("mouseenter", () => highlight(number));
      row.addEventListener("mouseleave", () => highlight(-1));
      body.append(row);
    }
    const words = [...counts].sort((one, other) => other[1] - one[1]).map(([place, count]) => `${count} × ${class_name(place)}`);
    el("said").textContent = words.join(", ") + ". Bold: not the inferred label.";
  }

  function condition_of(item, chosen) {
    // the one in which the anchor is hardest, unless the rater who is filtered for is in question elsewhere
    const who = chosen.rater === "" ? -1 : Number(chosen.rater);
    const differs = (one) => !chosen.differs || class_name(one[2]) !== inferred_for(item, who, one[1]);
    const wanted = item.ratings.filter((one) => who < 0 || (one[0] === who && differs(one))).map((one) => one[1]);
    return wanted.includes(item.condition) || !wanted.length ? item.condition : wanted[0];
  }

  function fill_conditions(item) {
    const names = [...new Set(item.ratings.map((one) => one[1]))].sort();
    condition = condition_of(item, filters());
    const select = el("condition");
    select.replaceChildren();
    for (const name of [...names, ""]) {
      const option = make("option", name || "all conditions");
      option.value = name;
      option.selected = name === condition;
      select.append(option);
    }
    select.parentNode.hidden = names.length < 2;
  }

  function rectangle(parent, box, className, stroke) {
    const node = draw(parent, "rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], class: className });
    if (stroke) node.setAttribute("stroke", stroke);
    return node;
  }

  function show_view(item) {
    const view = el("view");
    view.replaceChildren();
    view.classList.remove("one");
    const [xmin, ymin, xmax, ymax] = item.view;
    view.setAttribute("viewBox", `${xmin} ${ymin} ${xmax - xmin} ${ymax - ymin}`);
    if (item.image) {
      draw(view, "image", { href: item.image, x: xmin, y: ymin, width: xmax - xmin, height: ymax - ymin, preserveAspectRatio: "none" });
    }
    rectangle(view, item.box, "anchor-halo");
    rectangle(view, item.box, "anchor");
    const seen = new Map();
    const equal = new Map([[String(item.box), 1]]); // equal boxes, as of one suggestion, are drawn around each other
    const step = (xmax - xmin) / 130;
    item.ratings.forEach((one, number) => {
      const [rater, under, said, label, mark, kind] = one;
      if (!mark || !is_shown(one)) return;
      const depth = equal.get(String(mark)) || 0;
      equal.set(String(mark), depth + 1);
      const box = mark.map((value, side) => value + (side < 2 ? -depth : depth) * step);
      const group = draw(view, "g", { "data-number": number });
      draw(group, "title", {}).textContent = `${data.raters[rater][0]} (${data.raters[rater][1]}), ${under}: ${class_name(label)}`;
      rectangle(group, box, "halo");
      rectangle(group, box, kind === "click" ? "mark click" : "mark", data.classes[said][1]);
      seen.set(said, (seen.get(said) || 0) + 1);
    });
    view.setAttribute("aria-label", `Boxes of ${[...seen.values()].reduce((sum, count) => sum + count, 0)} marks on anchor ${item.anchor}`);
    el("legend").replaceChildren();
    for (const [place, count] of [...seen].sort((one, other) => other[1] - one[1])) {
      const entry = make("li");
      const swatch = make("span", undefined, "swatch");
      swatch.style.background = data.classes[place][1];
      entry.append(swatch, `${class_name(place)} ${count}`);
      el("legend").append(entry);
    }
  }

  function highlight(number) {
    if (!has_boxes) return;
    const groups = [...el("view").querySelectorAll("g")];
    groups.forEach((group) => group.classList.toggle("on", Number(group.dataset.number) === number));
    el("view").classList.toggle("one", groups.some((group) => group.classList.contains("on")));
  }

  // ---- exports -----------------------------------------------------------------------------------------------

  function save(name, type, text) {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function csv_cell(value) {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function as_csv() {
    const lines = [["rank", "anchor", "fov", "xmin", "ymin", "xmax", "ymax", "entropy", "disagreement", "cohort", "inferred_condition",
      "inferred_label", "rater", "rater_cohort", "condition", "label", "kind", "annotation", "mark_xmin", "mark_ymin", "mark_xmax", "mark_ymax"]];
    for (const number of shown) {
      const item = data.items[number];
      const box = item.box || ["", "", "", ""];
      const head = [number + 1, item.anchor, data.fovs[item.fov].fov, ...box, item.entropy, item.disagreement, item.cohort, item.condition,
        main_of(item).label];
      for (const [rater, under, , label, mark, kind, annotation] of item.ratings) {
        lines.push([...head, ...data.raters[rater], under, class_name(label), kind, annotation, ...(mark || ["", "", "", ""])]);
      }
    }
    return lines.map((line) => line.map(csv_cell).join(",")).join("\r\n") + "\r\n";
  }

  function as_coco() {
    const items = shown.map((number) => data.items[number]);
    const asked = new Map();
    const raters = new Set();
    const category_of = new Map();
    const annotations = [];
    items.forEach((item, rank) => item.ratings.forEach(([rater, under, , label, mark, kind, annotation]) => {
      raters.add(rater);
      asked.set(JSON.stringify([item.fov, rater, under]), [item.fov, rater, under]);
      if (label === UNDETECTED) return;
      if (!category_of.has(label)) category_of.set(label, category_of.size + 1);
      const [xmin, ymin, xmax, ymax] = mark || item.box;
      annotations.push({
        id: annotation || String(annotations.length), image_id: item.fov + 1, category_id: category_of.get(label),
        bbox: [xmin, ymin, xmax - xmin, ymax - ymin], area: (xmax - xmin) * (ymax - ymin), iscrowd: 0, corners: [xmin, ymin, xmax, ymax],
        rater_id: data.raters[rater][0], condition: under, kind: "box", anchor: item.anchor,
        rank: shown[rank] + 1, inferred_label: main_of(item).label,
      });
    }));
    const used = new Set(items.map((item) => item.fov));
    const places = [...asked.values()];
    const images = data.fovs.map((fov, place) => ({
      id: place + 1, file_name: fov.image || fov.fov, ...fov,
      rater_list: [...new Set(places.filter((one) => one[0] === place).map((one) => data.raters[one[1]][0]))].sort(),
    })).filter((image) => used.has(image.id - 1));
    return JSON.stringify({
      images, annotations,
      categories: [...category_of].map(([label, id]) => ({ id, name: class_name(label) })),
      raters: [...raters].map((rater) => ({ rater: data.raters[rater][0], cohort: data.raters[rater][1] })),
      assignments: places.map(([fov, rater, under]) => ({ fov: data.fovs[fov].fov, rater: data.raters[rater][0], condition: under })),
    });
  }

  // ---- wiring ------------------------------------------------------------------------------------------------

  for (const name of ["filter-class", "filter-rater", "filter-differs"]) {
    el(name).addEventListener("change", () => { apply(true); remember(); });
  }
  el("reset").addEventListener("click", () => {
    el("filter-class").value = "";
    el("filter-rater").value = "";
    el("filter-differs").checked = false;
    apply(true);
    remember();
  });
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  el("previous").addEventListener("click", () => go(at - 1));
  el("next").addEventListener("click", () => go(at + 1));
  el("viewer").addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      go(at + (event.key === "ArrowRight" ? 1 : -1));
    }
  });
  el("condition").addEventListener("change", () => {
    condition = el("condition").value;
    show_votes(data.items[shown[at]]);
    if (has_boxes) show_view(data.items[shown[at]]);
  });
  el("export-csv").addEventListener("click", () => save("hardest_anchors.csv", "text/csv", as_csv()));
  if (has_boxes) {
    el("export-coco").addEventListener("click", () => save("hardest_anchors.json", "application/json", as_coco()));
  } else {
    el("viewer").classList.add("plain");
  }
  el("queue").hidden = false;
  apply(false);
  recall();
})();
