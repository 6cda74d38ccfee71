// Opens the next mail of the list with j, and the one before it with k.
"use strict";

document.addEventListener("keydown", (event) => {
  const step = { j: 1, k: -1 }[event.key];
  const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
  if (!step || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  const links = [...document.querySelectorAll(".mailbox .row-what>a")];
  const next = links[links.findIndex((link) => link.getAttribute("aria-current") === "true") + step];
  if (next) location.assign(next.href);
});
