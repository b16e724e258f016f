package restyffi
