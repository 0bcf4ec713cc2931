// Keeps what is marked data-live up to date; the page is whole without this.
"use strict";

const EVERY_MS = 5000;
const follow = document.getElementById("follow");

function replace(old, fresh) {
  if (old.innerHTML === fresh.innerHTML) return;
  const open = [...old.querySelectorAll("details")].map((one) => one.open);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...old.querySelectorAll("a, button, summary")].indexOf(focused);
  const key = focused && (focused.getAttribute("href") || focused.textContent);
  old.replaceWith(fresh);
  fresh.querySelectorAll("details").forEach((one, n) => { one.open = Boolean(open[n]); });
  if (!focused) return;
  const all = [...fresh.querySelectorAll("a, button, summary")];
  const same = all.filter((one) => (one.getAttribute("href") || one.textContent) === key);
  (same.includes(all[place]) ? all[place] : same[0] || all[place])?.focus({ preventScroll: true });
}

async function update() {
  if (!follow.checked || document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${old.dataset.live}"]`);
      if (fresh) replace(old, document.importNode(fresh, true));
    }
  } catch {
    // The node is being restarted; the next round finds it again.
  }
}

if (document.querySelector("main [data-live]")) {
  follow.closest("p").hidden = false;
  setInterval(update, EVERY_MS);
}
