// Keeps the list, the charts and a message current while the page is open: `data-refresh` marks what may change.
// Nothing moves under the pointer, the keyboard's focus or a ticked box: what would move it has to wait.
"use strict";

(() => {
  const SECONDS = 5;
  const PATIENCE = 30; // s; a server that is away is asked less often
  const line = document.getElementById("refresh");
  const words = line.dataset; // in the language of the page
  let pointer = null;
  let pause = SECONDS;

  document.addEventListener("pointermove", ({ pointerType, clientX, clientY }) => {
    pointer = pointerType === "mouse" ? { x: clientX, y: clientY } : null;
  });
  document.documentElement.addEventListener("pointerleave", () => (pointer = null));

  function lookLater() {
    setTimeout(() => {
      if (document.hidden) document.addEventListener("visibilitychange", look, { once: true });
      else look();
    }, pause * 1000);
  }

  async function look() {
    try {
      const answer = await fetch(location.href, { redirect: "manual", headers: { Accept: "text/html" } });
      if (answer.ok) {
        const waits = show(new DOMParser().parseFromString(await answer.text(), "text/html"));
        pause = SECONDS;
        say(waits ? words.waits : words.every);
      } else if (answer.status >= 500) {
        throw new Error(answer.status);
      } else {
        say(words.stopped);
        return;
      }
    } catch {
      pause = Math.min(pause * 2, PATIENCE);
      say(words.away);
    }
    lookLater();
  }

  // Return whether something has to wait.
  function show(fresh) {
    let waits = false;
    for (const old of document.querySelectorAll("[data-refresh]")) {
      const next = fresh.querySelector(`[data-refresh="${old.dataset.refresh}"]`);
      if (next) waits = !update(old, document.adoptNode(next)) || waits;
    }
    return waits;
  }

  // Put `next` in the place of `old`, whole or else item by item; return whether all of it is shown.
  function update(old, next) {
    keepState(old, next);
    if (isSame(old, next) && sameState(old, next)) return true;
    if (!isHeld(old) && swap(old, next)) return true;
    const items = [...old.children].filter((item) => item.dataset.key);
    let complete = items.length > 0;
    for (const item of items) {
      const other = [...next.children].find((child) => child.dataset.key === item.dataset.key);
      if (!other) complete = false;
      else if (!isSame(item, other)) complete = !isHeld(item) && swap(item, other.cloneNode(true)) && complete;
    }
    return complete && [...next.children].every((child) => items.some((item) => item.dataset.key === child.dataset.key));
  }

  // A time that says how long ago it was grows by itself: only that is written anew, and moves nothing.
  function isSame(old, next) {
    const [times, others] = [old, next].map((element) => [...element.querySelectorAll("time[title]")]);
    const [before, after] = [old, next].map((element) => element.outerHTML.replace(/(<time [^>]*title=[^>]*>)[^<]*/g, "$1"));
    if (before !== after) return false;
    times.forEach((time, index) => (time.textContent = others[index].textContent));
    return true;
  }

  // What a person has ticked or unfolded stays so; a form's token is as good as the next one.
  function keepState(old, next) {
    const [token, other] = [old, next].map((region) => region.querySelector("[name=csrfmiddlewaretoken]"));
    if (token && other) other.setAttribute("value", token.value);
    for (const box of old.querySelectorAll("input:checked")) {
      const other = next.querySelector(`input[value="${box.value}"]`);
      if (other) other.checked = true;
    }
    const unfolded = [...old.querySelectorAll("details")];
    [...next.querySelectorAll("details")].forEach((details, index) => (details.open = unfolded[index]?.open ?? false));
  }

  function sameState(old, next) {
    return old.querySelectorAll("input:checked").length === next.querySelectorAll("input:checked").length;
  }

  function isHeld(element) {
    return anchors().some((anchor) => element.contains(anchor));
  }

  // What must stay where it is: what is under the pointer, and what has the focus.
  function anchors() {
    const under = pointer && document.elementFromPoint(pointer.x, pointer.y);
    const focused = document.activeElement === document.body ? null : document.activeElement;
    return [under, focused].filter((element) => element && element !== document.documentElement && element !== document.body);
  }

  // Return false, with everything as it was, if that would move an anchor.
  function swap(old, next) {
    const before = anchors().map((anchor) => [anchor, anchor.getBoundingClientRect().top]);
    old.replaceWith(next);
    const shift = () => before.find(([anchor, top]) => Math.abs(anchor.getBoundingClientRect().top - top) > 1);
    const moved = shift();
    if (moved) window.scrollBy({ top: moved[0].getBoundingClientRect().top - moved[1], behavior: "instant" });
    if (!shift()) return true;
    next.replaceWith(old);
    const still = shift();
    if (still) window.scrollBy({ top: still[0].getBoundingClientRect().top - still[1], behavior: "instant" });
    return false;
  }

  function say(sentence) {
    if (line.textContent !== sentence) line.textContent = sentence;
  }

  lookLater();
})();
