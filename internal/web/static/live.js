"use strict";
// Replaces the page's changing part by what the daemon rendered.
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const events = new EventSource("/events?span=" + encodeURIComponent(live.dataset.span));
events.onmessage = (event) => {
  lost.hidden = true;
  live.innerHTML = event.data;
  document.title = live.querySelector("h1").textContent + " - pacgan-appliance";
};
events.onerror = () => { lost.hidden = false; };
