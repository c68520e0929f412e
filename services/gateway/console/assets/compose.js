// The editor: the count as one types, what the server makes of it without a new page, and a draft that outlives a reload. Without
// scripts every button here sends the form, and the same page comes back changed.
import { $, morph, parse, say, signedOut } from "./console.js";
import { count, limit, plain } from "./count.js";

const editor = $("#editor");
if (editor) {
  const text = $("#text"), written = (form = editor) => {
    const data = new FormData(form);
    for (const name of ["form", "key"]) data.delete(name);
    return new URLSearchParams(data).toString();
  };
  const key = `draft ${document.documentElement.dataset.who} ${location.pathname}${location.search} ${$("[name=rev]").value}`, served = editor.cloneNode(true);
  served.reset();
  const empty = written(served); // a person may have typed before this ran
  let asked = 0, due;

  function show() {
    const counts = text.value.split(/^[ \t]*---+[ \t]*$/m).map((part) => count(plain(part.replace(/^\n+|\n+$/g, ""))));
    $("#counts").replaceChildren(...counts.map((n) => Object.assign(document.createElement("span"), { className: n > limit ? "over" : "", textContent: `${n} of ${limit} ` })));
    $("[value=split]").hidden = counts.every((n) => n <= limit);
    $("#hide").hidden = false;
  }
  function keep() {
    if (written() !== empty) localStorage.setItem(key, JSON.stringify({ form: written(), at: Date.now() }));
  }
  // post sends the form, and shows what comes back in its place. While one types that is the preview alone.
  async function post(what, form = written()) {
    const data = new URLSearchParams(form), mine = ++asked, typing = what === "preview";
    for (const name of ["form", "key"]) data.set(name, $(`[name=${name}]`, editor).value);
    data.set("do", what);
    clearTimeout(due);
    const slow = typing || setTimeout(say, 400, "One moment…");
    if (!typing) document.activeElement.blur(); // what has the focus would be left as it is
    editor.inert = !typing;
    try {
      const answer = await fetch(editor.action, { method: "POST", body: data });
      if (mine !== asked) return;
      if (answer.status === 401) return signedOut();
      if (answer.redirected) {
        localStorage.removeItem(key);
        asked = NaN; // no more is typed into it
        return location.assign(answer.url);
      }
      const page = parse(await answer.text()), next = $("#editor", page);
      if (mine !== asked) return;
      if (!next) return say($("main p", page).textContent);
      say();
      typing ? morph($("#preview"), $("#preview", page)) : morph(editor, next);
      $("#options").open ||= $("#options", page).open;
      show();
      return true;
    } catch {
      say("The gateway does not answer. What you wrote is kept in this browser; try again in a moment.");
    } finally {
      clearTimeout(slow);
      if (mine === asked) editor.inert = false;
      if (mine === asked && !typing) ($("[aria-invalid]", editor) ?? $(`[value="${what}"]:enabled`, editor) ?? text).focus();
    }
  }
  const typed = () => {
    keep();
    show();
    clearTimeout(due);
    due = setTimeout(post, 300, "preview");
  };
  editor.addEventListener("input", typed);
  editor.addEventListener("submit", (event) => {
    event.preventDefault();
    keep();
    post(event.submitter?.value ?? "check").then((shown) => shown && keep());
  });
  editor.addEventListener("click", ({ target }) => {
    if (target.id !== "hide") return;
    const { selectionStart: from, selectionEnd: to } = text;
    text.setRangeText(`||${text.value.slice(from, to)}||`, from, to, "select");
    text.focus();
    typed();
  });
  show();
  const kept = JSON.parse(localStorage.getItem(key) ?? "null");
  if (kept?.form && "fresh" in editor.dataset && Date.now() - kept.at < 30 * 86400000) {
    const restore = async () => { if (await post("restore", kept.form)) $("#restored").hidden = false; else setTimeout(restore, 3000); };
    restore();
    $("#restored button").addEventListener("click", () => { localStorage.removeItem(key); location.reload(); });
  } else if (written() !== empty) typed();
}
