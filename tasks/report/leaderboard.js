const table = document.querySelector(".board"), body = table.tBodies[0];
const key = (row, place) => {
  const cell = row.cells[place], text = cell.dataset.sort ?? cell.innerText;
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? text.toLowerCase() : number;
};
const order = (a, b) => {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1; // numbers first, words and gaps after
};
table.querySelectorAll("thead th").forEach((head, place) => {
  head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => (up ? 1 : -1) * order(key(a, place), key(b, place)));
    body.append(...rows);
  });
});
const filter = document.querySelector("#filter"), count = document.querySelector("#count");
const show = () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let seen = 0;
  for (const row of body.rows) {
    row.hidden = !words.every((word) => row.innerText.toLowerCase().includes(word) || row.textContent.toLowerCase().includes(word));
    seen += !row.hidden;
  }
  count.textContent = `${seen} of ${body.rows.length} lines`;
};
filter.addEventListener("input", show);
show();
