"use strict";
// Shows openapi.json. Everything is set as text, nothing as markup.
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

const resolved = (api, value) => {
  if (!value || !value.$ref) return value;
  return value.$ref.replace("#/", "").split("/").reduce((at, key) => at && at[key], api);
};

// Schemas with references put in, as deep as somebody wants to read.
const expanded = (api, value, depth = 0) => {
  if (Array.isArray(value)) return value.map((item) => expanded(api, item, depth));
  if (!value || typeof value !== "object" || depth > 6) return value;
  const found = resolved(api, value);
  if (!found || typeof found !== "object") return found;
  return Object.fromEntries(Object.entries(found).map(([key, item]) => [key, expanded(api, item, depth + 1)]));
};

const rows = (head, items) => {
  const table = make("table");
  const top = make("tr");
  head.forEach((text) => top.append(make("th", text)));
  table.append(top);
  items.forEach((cells) => {
    const row = make("tr");
    cells.forEach((text) => row.append(make("td", text)));
    table.append(row);
  });
  return table;
};

const operation = (api, path, shared, verb, about) => {
  const box = make("details");
  const line = make("summary");
  line.append(make("span", verb.toUpperCase(), `verb ${verb}`), make("code", path), make("span", `  ${about.summary}`));
  box.append(line);
  box.dataset.text = `${verb} ${path} ${about.summary} ${about["x-scope"] || ""}`.toLowerCase();
  box.addEventListener("toggle", () => {
    if (!box.open || box.dataset.filled) return;
    box.dataset.filled = "yes";
    if (about.description) box.append(make("p", about.description));
    const parameters = [...shared, ...(about.parameters || [])];
    if (parameters.length) {
      box.append(make("h4", "Parameters"));
      box.append(rows(["name", "in", "what it is"], parameters.map((p) => [p.name, p.in, p.description || ""])));
    }
    Object.entries((about.requestBody || {}).content || {}).forEach(([kind, content]) => {
      box.append(make("h4", `Body: ${kind}`), make("pre", JSON.stringify(expanded(api, content.schema), null, 2)));
    });
    box.append(make("h4", "Answers"));
    const answers = Object.entries(about.responses).map(([status, answer]) => [status, resolved(api, answer).description]);
    box.append(rows(["status", "what it means"], answers));
    const good = about.responses["200"] || about.responses["201"];
    const json = good && good.content && good.content["application/json"];
    if (json) box.append(make("pre", JSON.stringify(expanded(api, json.schema), null, 2)));
  });
  return box;
};

const show = (api) => {
  document.getElementById("about").textContent = `Version ${api.info.version}. ${api.info.description}`;
  const groups = document.getElementById("groups");
  const boxes = [];
  api.tags.forEach((tag) => {
    const section = make("section");
    section.append(make("h2", tag.name), make("p", tag.description));
    Object.entries(api.paths).forEach(([path, item]) => {
      Object.entries(item).forEach(([verb, about]) => {
        if (!about.tags || !about.tags.includes(tag.name)) return;
        const box = operation(api, path, item.parameters || [], verb, about);
        boxes.push(box);
        section.append(box);
      });
    });
    groups.append(section);
  });
  document.getElementById("find").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    boxes.forEach((box) => { box.hidden = !words.every((word) => box.dataset.text.includes(word)); });
  });
};

fetch("/openapi.json").then((answer) => answer.json()).then(show, (error) => {
  document.getElementById("about").textContent = `openapi.json cannot be read: ${error}`;
});
