/** Columns for people. */

/** Aligns the cells of each column; `right` names the columns that hold numbers. No column is cut. */
export function alignColumns(rows: readonly (readonly string[])[], right: readonly number[] = []): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => { widths[column] = Math.max(widths[column] ?? 0, cell.length); });
  return rows.map((row) => row.map((cell, column) => {
    const width = widths[column] ?? 0;
    return right.includes(column) ? cell.padStart(width) : column === row.length - 1 ? cell : cell.padEnd(width);
  }).join('  ').trimEnd());
}
