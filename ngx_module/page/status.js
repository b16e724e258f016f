// Replaces the page's content by that of now, and rates since the first load by
// those of the moment.
(function () {
    "use strict";

    var EVERY = 2000;

    function calls(main) {
        var seen = {};
        main.querySelectorAll("tr[data-calls]").forEach(function (row) {
            seen[row.dataset.key] = Number(row.dataset.calls);
        });
        return seen;
    }

    function show(main, fresh) {
        var before = calls(main);
        var seconds = Number(fresh.dataset.time) - Number(main.dataset.time);
        fresh.querySelectorAll("tr[data-calls]").forEach(function (row) {
            var rate = (Number(row.dataset.calls) - before[row.dataset.key]) / seconds;
            if (rate >= 0) {
                row.querySelector(".rate").textContent = rate.toFixed(rate < 10 ? 1 : 0);
            }
        });
        fresh.dataset.live = "yes";
        main.replaceWith(fresh);
    }

    function refresh() {
        fetch(location.href, { headers: { Accept: "text/html" } }).then(function (response) {
            return response.text();
        }).then(function (text) {
            var page = new DOMParser().parseFromString(text, "text/html");
            var fresh = page.querySelector("main");
            if (fresh) {
                show(document.querySelector("main"), fresh);
            }
        }).catch(function () {
            // nginx may be away for a moment
        }).then(function () {
            setTimeout(refresh, EVERY);
        });
    }

    setTimeout(refresh, EVERY);
})();
