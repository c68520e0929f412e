// The editor: counts and the preview as one types, and a draft that outlives a reload. The API says what is wrong.
import { $, all } from "./console.js";
import { count, limit, split } from "./count.js";

const editor = $("#editor");
if (editor) {
  const text = $("#text"), counts = $("#counts"), thread = $("#thread"), tools = $("#tools"), later = $("#later"), names = $("[data-names]");
  const divider = /^[ \t]*---+[ \t]*$/m;
  const partsOf = () => text.value.split(divider).map((part) => part.replace(/^\n+|\n+$/g, ""));
  const make = (tag, className, ...inside) => { const node = document.createElement(tag); node.className = className; node.append(...inside); return node; };
  const face = () => $(".face", thread)?.cloneNode(true) ?? "";

  function media(part, many) {
    return all(".media-row").filter((row) => $("[name=media_url]", row).value && (!many || (Number($("[name=media_part]", row).value) || 1) === part + 1)).map((row) => {
      const kind = $("[name=media_type]", row).selectedOptions[0].textContent, note = make("span", "faint", $("[name=media_alt]", row).value || "No description");
      return make("li", "", make("span", "tile", kind), make("span", "", $("[name=media_url]", row).value.replace(/^https?:\/\//, "").slice(0, 48), make("br", ""), note));
    });
  }
  function show() {
    const parts = partsOf(), many = parts.length > 1, name = names ? names.selectedOptions[0].textContent.slice(1) : thread.dataset.name;
    counts.replaceChildren(...parts.map((part) => { const n = count(part); return make("span", n > limit ? "over" : "", `${n} of ${limit} `); }));
    $("[data-split]", tools).hidden = !parts.some((part) => count(part) > limit);
    const head = face();
    if (head && name) head.textContent = name[0].toUpperCase();
    thread.replaceChildren(...parts.map((part, i) => {
      const inside = make("div", "said-body", make("p", "said-who", make("strong", "", name)), make("p", "said-text", part));
      const topic = $("#topic").value, tiles = media(i, many), answers = all("[name=poll]").map((input) => input.value).filter(Boolean);
      if (topic && !i) inside.firstChild.append(make("span", "faint", `› ${topic}`));
      if (tiles.length) inside.append(make("ul", "tiles", ...tiles));
      if (answers.length && !i) inside.append(make("ul", "poll", ...answers.map((answer) => make("li", "", answer))));
      if (many) inside.append(moves(i, parts.length));
      return make("article", "said", make("div", "said-side", head ? head.cloneNode(true) : ""), inside);
    }));
    for (const input of all("input, select", later)) input.disabled = $("[name=when]:checked", editor)?.value === "now";
  }
  function moves(i, length) {
    const button = (label, to) => {
      const b = make("button", "", label);
      Object.assign(b, { type: "button", disabled: to < 0 || to >= length, onclick: () => { swap(i, to); } });
      b.setAttribute("aria-label", `${label} part ${i + 1}`);
      return b;
    };
    return make("p", "buttons small", button("Earlier", i - 1), button("Later", i + 1));
  }
  function write(parts) {
    text.value = parts.join("\n---\n");
    keep();
    show();
  }
  function swap(i, to) {
    const parts = partsOf();
    [parts[i], parts[to]] = [parts[to], parts[i]];
    write(parts);
  }
  tools.hidden = false;
  $("[data-add-part]", tools).addEventListener("click", () => { write([...partsOf(), ""]); text.focus(); text.setSelectionRange(text.value.length, text.value.length); });
  $("[data-split]", tools).addEventListener("click", () => write(partsOf().flatMap((part) => split(part))));

  // The draft.
  const key = `draft ${document.documentElement.dataset.who} ${location.pathname}${location.search} ${$("[name=rev]", editor).value}`;
  const skip = ["form", "key", "rev", "decided", "do"];
  const fields = () => [...editor.elements].filter((field) => field.name && !skip.includes(field.name) && field.type !== "hidden");
  const state = () => JSON.stringify(fields().map((field) => [field.name, field.type === "checkbox" || field.type === "radio" ? field.checked : field.value]));
  const empty = state();
  let due;
  function keep() {
    clearTimeout(due);
    due = setTimeout(() => { if (state() !== empty) localStorage.setItem(key, JSON.stringify({ fields: JSON.parse(state()), at: Date.now() })); }, 200);
  }
  const kept = JSON.parse(localStorage.getItem(key) ?? "null");
  if (kept && !$(".wrong, .callout.good, .callout.bad, .callout[role=alert]") && Date.now() - kept.at < 30 * 86400000) {
    const seen = {};
    for (const [name, value] of kept.fields) {
      const same = fields().filter((field) => field.name === name), field = same[seen[name] ?? 0];
      seen[name] = (seen[name] ?? 0) + 1;
      if (!field) continue;
      if (typeof value === "boolean") field.checked = value; else field.value = value;
    }
    if (fields().some((field) => field.closest("#options") && field.value && field.type !== "checkbox")) $("#options").open = true;
    const restored = $("#restored");
    restored.hidden = false;
    $("button", restored).addEventListener("click", () => { localStorage.removeItem(key); location.reload(); });
  }
  editor.addEventListener("input", () => { keep(); show(); });
  editor.addEventListener("submit", () => {
    if (state() !== empty) localStorage.setItem(key, JSON.stringify({ fields: JSON.parse(state()), at: Date.now() }));
    sessionStorage.setItem("sent", key);
    for (const input of all("input, select", later)) input.disabled = false; // they are sent, and not looked at
  });
  show();
}
