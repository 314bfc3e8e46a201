/** Line charts as SVG, one panel below the other. */

/** A line: a value per step, NaN where there is none. */
export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

/** One chart. Values are shown as they are: scale them to the unit first. */
export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly Series[];
  /** A dashed line across. */
  readonly limit?: number;
}

const WIDTH = 860;
const PANEL_HEIGHT = 220;
const BOX = { left: 64, top: 34, width: 620, height: 150 } as const;
const GRID_LINES = 4;
/** Distinguishable also without red and green. Source: Okabe and Ito. */
const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#000000', '#999999'] as const;

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escape(content)}</text>`;
}

/** A number of 1, 2 or 5 times a power of ten that is at least `value`. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((one) => one * power >= value) ?? 10) * power;
}

/** Points of a line; a gap starts a new stroke. */
function pathOf(values: readonly number[], top: number, steps: number): string {
  let pen = 'M';
  return values.map((value, i) => {
    if (!Number.isFinite(value)) {
      pen = 'M';
      return '';
    }
    const command = `${pen}${(BOX.left + i / Math.max(1, steps - 1) * BOX.width).toFixed(1)} ${(BOX.top + BOX.height * (1 - value / top)).toFixed(1)}`;
    pen = 'L';
    return command;
  }).join('');
}

function panelOf(panel: Panel, ends: readonly [string, string]): string {
  const finite = panel.series.flatMap((one) => one.values.filter(Number.isFinite));
  const top = roundUp(Math.max(panel.limit ?? 0, ...finite, Number.MIN_VALUE * 2 ** 60));
  const steps = Math.max(...panel.series.map((one) => one.values.length));
  const at = (value: number): number => BOX.top + BOX.height * (1 - value / top);
  const grid = Array.from({ length: GRID_LINES + 1 }, (_, i) => top * i / GRID_LINES).flatMap((value) => [
    `<line x1="${BOX.left}" x2="${BOX.left + BOX.width}" y1="${at(value)}" y2="${at(value)}" stroke="#ddd"/>`,
    text(BOX.left - 6, at(value) + 4, Number(value.toPrecision(3)).toString(), 'text-anchor="end"'),
  ]);
  const lines = panel.series.flatMap((one, i) => {
    const colour = colours[i % colours.length] as string;
    const y = BOX.top + 12 + i * 16;
    return [
      `<path d="${pathOf(one.values, top, steps)}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
      `<line x1="${BOX.left + BOX.width + 12}" x2="${BOX.left + BOX.width + 30}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="3"/>`,
      text(BOX.left + BOX.width + 36, y, one.name),
    ];
  });
  const limit = panel.limit === undefined ? [] : [`<line x1="${BOX.left}" x2="${BOX.left + BOX.width}" y1="${at(panel.limit)}" y2="${at(panel.limit)}" stroke="#d00" stroke-dasharray="6 4"/>`];
  const axis = [text(BOX.left, BOX.top + BOX.height + 18, ends[0]), text(BOX.left + BOX.width, BOX.top + BOX.height + 18, ends[1], 'text-anchor="end"')];
  return [text(BOX.left, 20, `${panel.title} (${panel.unit})`, 'font-weight="bold"'), ...grid, ...limit, ...lines, ...axis].join('\n');
}

/** A whole picture; `ends` are the words below the first and the last step. */
export function plot(panels: readonly Panel[], ends: readonly [string, string]): string {
  const height = panels.length * PANEL_HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...panels.map((panel, i) => `<g transform="translate(0 ${i * PANEL_HEIGHT})">\n${panelOf(panel, ends)}\n</g>`),
    '</svg>', '',
  ].join('\n');
}
