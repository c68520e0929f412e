// Drag a post to another day or hour. The form of a move sends it, and the page that follows can take it back.
import { $ } from "./console.js";

let post;
const on = (kind, act) => document.addEventListener(kind, act);
const mark = (slot) => { $(".drop")?.classList.remove("drop"); slot?.classList.add("drop"); };
const slotOf = (drag) => {
  const slot = post && drag.target.closest("[data-slot]");
  if (slot) drag.preventDefault(); // it may be dropped here
  return slot;
};
on("dragstart", (drag) => {
  const link = drag.target.closest?.("[data-rev]");
  post = link && { at: link.href, ...link.dataset };
});
on("dragover", (drag) => mark(slotOf(drag)));
on("dragend", () => mark(post = null));
on("drop", (drag) => {
  const slot = slotOf(drag);
  if (!slot) return;
  const form = $("#move"), [date, hour] = slot.dataset.slot.split("T"), { at, rev, time } = post;
  form.action = `${at}/move`;
  for (const [name, value] of Object.entries({ rev, date, time: hour ? hour + time.slice(2) : time })) form.elements[name].value = value;
  form.submit();
});
