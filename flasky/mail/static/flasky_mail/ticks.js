// Shows in the list how many messages are ticked, and only what can be done to them; one box ticks all.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector(".rows-form");
  const all = document.getElementById("tick-all");
  const line = document.getElementById("chosen");
  if (!form || !all) return;

  const boxes = () => [...form.querySelectorAll("[name=message]")];
  const everything = form.querySelector("[name=scope]");

  all.parentElement.hidden = false;
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    show();
  });
  // Rows come and go by themselves where the page keeps itself current.
  new MutationObserver(show).observe(form, { childList: true, subtree: true });
  show();

  function show() {
    const ticked = boxes().filter((box) => box.checked);
    all.checked = ticked.length > 0 && ticked.length === boxes().length;
    all.indeterminate = ticked.length > 0 && !all.checked;
    say(ticked.length && !everything.checked ? line.dataset.chosen.replace("#", ticked.length) : "");
    const can = new Set(ticked.flatMap((box) => (box.closest("li").dataset.can ?? "").split(" ")));
    for (const button of form.querySelectorAll("[name=action]")) {
      button.hidden = !everything.checked && ticked.length > 0 && !can.has(button.value);
    }
  }

  function say(sentence) {
    if (line.textContent !== sentence) line.textContent = sentence;
  }
});
