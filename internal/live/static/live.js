"use strict";
// Replaces the parts of the page that changed by what the daemon rendered.
const lost = document.getElementById("lost");
const events = new EventSource(document.body.dataset.events);
for (const part of document.querySelectorAll("[data-live]")) {
  events.addEventListener(part.id, (event) => {
    lost.hidden = true;
    if (part.querySelector("svg:hover")) return; // someone reads its figures
    const open = [...part.querySelectorAll("details")].map((d) => d.open);
    part.innerHTML = event.data;
    part.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
  });
}
events.onerror = () => { lost.hidden = false; };
