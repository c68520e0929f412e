// Clocks that run, pages that follow the events, keys, copying. Every page is whole without it.

const { body } = document, page = document.documentElement;
export const $ = (what, within = document) => within.querySelector(what);
export const all = (what, within = document) => [...within.querySelectorAll(what)];
const place = new URL("..", import.meta.url).pathname; // where the console is

// The zone of this browser, until the person chooses another one.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (!/(^|; )console_zone_chosen=/.test(document.cookie)) {
  document.cookie = `console_zone=${encodeURIComponent(zone)}; path=${place.replace(/\/$/, "")}; max-age=34560000; samesite=lax`;
  if (page.dataset.zone && page.dataset.zone !== zone && !sessionStorage.zone) {
    sessionStorage.zone = zone; // once: cookies may be off
    location.reload();
  }
}
$("#zones")?.append(...Intl.supportedValuesOf("timeZone").map((name) => new Option(name)));

// Clocks.
const word = (n, unit) => `${n |= 0} ${unit}${n === 1 ? "" : "s"}`;
function span(seconds, exact) {
  if (seconds < 60) return word(seconds, "second");
  if (seconds < 3600) return exact ? `${seconds / 60 | 0}:${String(seconds % 60).padStart(2, "0")}` : word(seconds / 60, "minute");
  if (seconds < 48 * 3600) return word(seconds / 3600, "hour");
  return word(seconds / 86400, "day");
}
function tick() {
  for (const clock of all("time[data-until]")) {
    const left = Math.round((Date.parse(clock.dateTime) - Date.now()) / 1000);
    const said = left >= 0 ? `in ${span(left, true)}` : left > -60 ? "now" : `${span(-left)} ago`;
    if (clock.textContent !== said) clock.textContent = said;
  }
}
tick();
setInterval(tick, 1000);

// Copying.
function ready() {
  for (const hidden of all("[data-copy], [data-help]")) hidden.hidden = false;
}
ready();
document.addEventListener("click", async (click) => {
  const button = click.target.closest("[data-copy]");
  if (!button) return;
  const code = $("code", button.parentElement);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch { // not allowed here
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

// The page as it is now takes the place of the page as it was, but for what is open or being typed in.
const policy = { createHTML: (text) => text }, trusted = globalThis.trustedTypes?.createPolicy("console", policy) ?? policy;
export const parse = (html) => new DOMParser().parseFromString(trusted.createHTML(html), "text/html"); // our own page, from our own address
export const morph = (part, next) => Idiomorph.morph(part, next, { callbacks: { beforeNodeMorphed: keeps, beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS") } });
let asked = 0;
async function refresh() {
  const mine = ++asked, answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (mine !== asked) return; // a later one runs
  if (answer.redirected && new URL(answer.url).pathname.includes("/sign-in")) return signedOut();
  if (!answer.ok) throw new Error(answer.status);
  const fresh = parse(await answer.text());
  for (const part of all("[data-part]")) {
    const next = fresh.getElementById(part.id);
    if (next) morph(part, next);
  }
  ready();
  tick();
}
const keeps = (node) => !(node.nodeType === 1 && node.contains(document.activeElement) && /^(FORM|DETAILS)$/.test(node.tagName));

const lost = $("#lost");
export function say(...what) {
  lost.replaceChildren(...what);
  lost.hidden = what.length === 0;
}
export function signedOut() {
  const link = Object.assign(document.createElement("a"), { textContent: "Sign in again", href: `${body.dataset.signIn}?return=${encodeURIComponent(location.pathname + location.search)}` });
  say("You are signed out. ", link);
  stop();
}

// Events. One stream a page, and none while nobody looks at it.
let source, wait, due, over, since = new Date(), failures = 0, last = 0;
const look = () => { due = 0; last = Date.now(); refresh().catch(() => {}); };
function changed() { // soon, then not too often: events come in bursts
  due ||= setTimeout(look, Math.max(120, last + Number(body.dataset.pace ?? 2000) - Date.now()));
}
function stop() { over = true; source?.close(); clearTimeout(wait); }
function listen() {
  if (over || document.hidden || source?.readyState < EventSource.CLOSED) return;
  source = new EventSource(body.dataset.live);
  source.addEventListener("ready", () => {
    if (failures) changed(); // what happened meanwhile
    failures = 0;
    say();
  });
  for (const name of ["reset", ...body.dataset.facts.split(" ")]) source.addEventListener(name, () => { since = new Date(); changed(); });
  source.onerror = () => {
    source.close();
    failures++;
    clearTimeout(wait);
    wait = setTimeout(listen, Math.min(30000, 700 * 2 ** failures) * (0.7 + 0.6 * Math.random()));
    if (failures < 2) return;
    say(`The connection is lost. What you see is of ${since.toLocaleTimeString()}; we try again.`);
    look(); // says whether it is the sign-in
  };
}
if (body.dataset.live && $("[data-part]")) {
  listen();
  document.addEventListener("visibilitychange", () => { // also when a page is left, and come back to
    if (document.hidden) { source?.close(); clearTimeout(wait); } else { failures ||= 1; listen(); }
  });
}

// Keys.
const help = $("#help"), on = $("[data-keys-on]");
let went = 0;
if (help) {
  on.checked = localStorage.keys !== "off";
  on.onchange = () => { localStorage.keys = on.checked ? "on" : "off"; };
  $("[data-help]").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (press) => {
    const editor = press.target.closest("form");
    if (press.key === "Enter" && (press.ctrlKey || press.metaKey) && editor && on.checked) {
      const send = $("button.primary", editor) ?? $("button:not([tabindex])", editor);
      if (send) { press.preventDefault(); editor.requestSubmit(send); }
      return;
    }
    if (!on.checked || press.ctrlKey || press.metaKey || press.altKey || help.open || press.target.closest("input, textarea, select")) return;
    const to = (key) => { const link = $(`.bar [data-key="${key}"]`); if (link) { press.preventDefault(); link.click(); } };
    if (went && Date.now() - went < 1500) { went = 0; return to(press.key); }
    went = 0;
    const rows = all(".row-main, .ev"), row = document.activeElement, at = rows.indexOf(row);
    switch (press.key) {
      case "?": help.showModal(); break;
      case "n": to("n"); break;
      case "g": went = Date.now(); break;
      case "/": press.preventDefault(); $("#search") ? $("#search").focus() : location.assign(`${place}posts`); break;
      case "j": (rows[at + 1] ?? row).focus(); break;
      case "k": (rows[at - 1] ?? rows[0])?.focus(); break;
      case "m": row.dataset.rev ? location.assign(`${row.href}/move`) : $("[data-move]", rows.length ? row.closest(".row") ?? help : body)?.click(); break;
    }
  });
}
