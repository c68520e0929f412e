// Copying, and finding. The page is whole without it.
"use strict";

document.addEventListener("click", async (click) => {
  const button = click.target.closest("button[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch { // not allowed here: leave it selected, ready for the keyboard
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

const find = document.getElementById("find"), found = document.getElementById("found");
const articles = [...document.querySelectorAll("article[data-operation]")];
find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const article of articles) {
    const text = `${article.id} ${article.textContent}`.toLowerCase();
    const fits = words.every((word) => text.includes(word));
    article.hidden = !fits;
    const link = document.querySelector(`nav [data-for="${article.id}"]`);
    if (link) link.hidden = !fits;
    count += fits;
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = !group.querySelector("article:not([hidden]), li:not([hidden])");
  }
  found.textContent = words.length ? `${count} of ${articles.length} operations` : "";
});
