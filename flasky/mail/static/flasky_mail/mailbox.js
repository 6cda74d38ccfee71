// Opens the next mail of the list with j, and the one before it with k, but not before the page is there: what a key
// would cut off while it loads, such as the open mail, the browser would report as a fault.
"use strict";

(() => {
  let steps = 0; // from the open mail; quick keys add up

  document.addEventListener("keydown", (event) => {
    const step = { j: 1, k: -1 }[event.key];
    const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
    if (!step || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    steps += step;
    if (document.readyState === "complete") go();
  });
  addEventListener("load", go);
  addEventListener("pagehide", () => (steps = 0)); // one may come back

  function go() {
    const links = [...document.querySelectorAll(".mailbox .row-what>a")];
    const open = links.findIndex((link) => link.getAttribute("aria-current") === "true");
    const next = links[Math.min(Math.max(open + steps, 0), links.length - 1)];
    steps = links.indexOf(next) - open;
    if (steps) location.assign(next.href);
  }
})();
