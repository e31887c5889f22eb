// One table for everything. Long ones are drawn only where they are looked at, so that a thousand subtasks cost no
// more than a screenful of them.
import { useState, type CSSProperties, type ReactNode } from 'react';
import { Empty } from './ui';

export interface Column<T> {
  key: string;
  head: string;
  width: number; // px at least; what is left over is shared out in proportion
  numeric?: boolean;
  sort?: (row: T) => number | string;
  cell: (row: T) => ReactNode;
}

interface Sorting {
  key: string;
  descending: boolean;
}

const rowHeight = 40; // px; the style sheet holds rows to it
const viewHeight = 13 * rowHeight;
const drawAll = 40; // rows
const margin = 10; // rows drawn beyond either edge

// visible gives the range of rows to be drawn.
export function visible(total: number, scrollTop: number): { first: number; end: number } {
  if (total <= drawAll) return { first: 0, end: total };
  // The scroll position outlives a list that shrank.
  const top = Math.min(scrollTop, Math.max(0, total * rowHeight - viewHeight));
  const first = Math.max(0, Math.floor(top / rowHeight) - margin);
  return { first, end: Math.min(total, Math.ceil((top + viewHeight) / rowHeight) + margin) };
}

// sorted orders rows by a column; equal ones keep their order.
export function sorted<T>(rows: T[], column: Column<T> | undefined, descending: boolean): T[] {
  const by = column?.sort;
  if (!by) return rows;
  const compare = (a: number | string, b: number | string) =>
    typeof a === 'string' && typeof b === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : Number(a) - Number(b);
  return rows.toSorted((a, b) => (descending ? compare(by(b), by(a)) : compare(by(a), by(b))));
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  selected?: (row: T) => boolean;
  empty: string;
  hint?: string; // below empty
}

export function Table<T>({ label, columns, rows, rowKey, selected, empty, hint }: Props<T>) {
  const [sorting, setSorting] = useState<Sorting>();
  const [scrollTop, setScrollTop] = useState(0);
  if (rows.length === 0) return <Empty title={empty}>{hint}</Empty>;

  const all = sorted(rows, columns.find((c) => c.key === sorting?.key), sorting?.descending ?? false);
  const { first, end } = visible(all.length, scrollTop);
  const width = columns.reduce((sum, c) => sum + c.width, 0);
  const long = all.length > drawAll;
  const style: CSSProperties | undefined = long ? { maxHeight: viewHeight + rowHeight } : undefined;
  return (
    <div
      className="table-scroll" style={style} role="region" aria-label={label} tabIndex={0}
      onScroll={long ? (e) => setScrollTop(e.currentTarget.scrollTop) : undefined}
    >
      <table style={{ minWidth: width }} aria-label={label} aria-rowcount={all.length + 1}>
        <colgroup>{columns.map((c) => <col key={c.key} style={{ width: `${(100 * c.width) / width}%` }} />)}</colgroup>
        <thead>
          <tr>{columns.map((c) => <Head key={c.key} column={c} sorting={sorting} onSort={setSorting} />)}</tr>
        </thead>
        <tbody>
          <Spacer rows={first} />
          {all.slice(first, end).map((row, i) => (
            <tr key={rowKey(row)} aria-rowindex={first + i + 2} className={selected?.(row) ? 'selected' : undefined}>
              {columns.map((c) => <td key={c.key} className={c.numeric ? 'numeric' : undefined}>{c.cell(row)}</td>)}
            </tr>
          ))}
          <Spacer rows={all.length - end} />
        </tbody>
      </table>
    </div>
  );
}

function Head<T>({ column, sorting, onSort }: { column: Column<T>; sorting: Sorting | undefined; onSort: (s: Sorting | undefined) => void }) {
  const className = column.numeric ? 'numeric' : undefined;
  if (!column.sort) return <th scope="col" className={className}>{column.head}</th>;
  const mine = sorting?.key === column.key ? sorting : undefined;
  // Ascending, descending, as it came.
  const next = mine?.descending ? undefined : { key: column.key, descending: mine !== undefined };
  const order = mine ? (mine.descending ? 'descending' : 'ascending') : 'none';
  return (
    <th scope="col" className={className} aria-sort={order}>
      <button type="button" className="sort" onClick={() => onSort(next)}>
        {column.head}
        {mine && <i aria-hidden="true">{mine.descending ? '↓' : '↑'}</i>}
      </button>
    </th>
  );
}

function Spacer({ rows }: { rows: number }) {
  return rows > 0 ? <tr aria-hidden="true" className="spacer"><td style={{ height: rows * rowHeight }} /></tr> : null;
}
