"use strict";
/* How every page shows a figure: with these few buttons, in the reader's colours, and fitted to a narrow screen. */
const FIGURE_CONFIG = {
  displaylogo: false,
  responsive: true,
  displayModeBar: "hover",
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  showTips: false,
};

function layoutOf(figure, template, isNarrow) {
  const layout = { ...figure.layout, template };
  if (isNarrow) {
    layout.font = { size: 11 };
    layout.margin = { l: 44, r: 8, ...layout.margin };
    // A figure says itself how its panels lie where there is little room.
    for (const [name, value] of Object.entries(layout.meta?.narrow ?? {})) {
      layout[name] = typeof value === "object" ? { ...layout[name], ...value } : value;
    }
  }
  return layout;
}
