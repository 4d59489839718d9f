"use strict";
// Replaces the parts of the page that changed by what the daemon rendered.
const lost = document.getElementById("lost");
const events = new EventSource("/events?span=" + encodeURIComponent(document.body.dataset.span));
for (const part of document.querySelectorAll("#first, #training, #models")) {
  events.addEventListener(part.id, (event) => {
    lost.hidden = true;
    if (part.querySelector("svg:hover")) return; // someone reads its figures
    part.innerHTML = event.data;
  });
}
events.onerror = () => { lost.hidden = false; };
