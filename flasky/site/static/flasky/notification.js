// Keeps the line about the notification current while the page is open.
"use strict";

(() => {
  const FIRST_PAUSE = 1; // s
  const LONGEST_PAUSE = 10; // s
  const PATIENCE = 120; // s of pauses; the time in which the page was hidden does not count
  const line = document.getElementById("notification");
  const way = document.getElementById("way");
  let pause = FIRST_PAUSE;
  let waited = 0;

  function askLater() {
    if (waited >= PATIENCE) return;
    setTimeout(askWhenVisible, pause * 1000);
    waited += pause;
    pause = Math.min(pause * 1.5, LONGEST_PAUSE);
  }

  function askWhenVisible() {
    if (document.hidden) document.addEventListener("visibilitychange", askWhenVisible, { once: true });
    else ask();
  }

  async function ask() {
    let more = true;
    try {
      const answer = await fetch(line.dataset.ask);
      if (answer.status === 204) more = false; // the message is gone
      if (answer.status === 200) more = show(await answer.text());
    } catch {
      // No connection at the moment: the next time may be better.
    }
    if (more) askLater();
  }

  // Return whether the line may still change.
  function show(html) {
    const answer = new DOMParser().parseFromString(html, "text/html");
    const fresh = answer.getElementById("notification");
    if (!fresh) return true;
    draw(answer.getElementById("way").children);
    // Only a change, or a screen reader would say the same again and again.
    if (fresh.textContent !== line.textContent) line.textContent = fresh.textContent;
    return fresh.dataset.ask !== undefined;
  }

  // Step by step, so that each can change its colour in sight.
  function draw(steps) {
    [...way.children].forEach((step, index) => {
      step.className = steps[index].className;
      step.textContent = steps[index].textContent;
    });
  }

  askLater();
})();
