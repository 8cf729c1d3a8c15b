// A row of a [rows, cols] tensor as vec4s, SEGMENT lanes wide, with PER of them per lane in registers.
// The including file has the override WORKGROUP, the type `Cell` (what it keeps of each vec4), `fn load(k: u32) -> Cell`,
// `fn visit(task: u32, k: u32, cell: Cell) -> Cell` and `fn settle()`; k counts the vec4s that cover the row. Where rows start
// anywhere, the first and last of them hold elements of the neighbours too: see `inside`. `settle` adds what the last few
// visits summed to the whole: a long sum by small parts keeps its last digits.
//!include lib/row_span.wgsl
override PER: u32 = 0;      // 1 to 8; 0: the row is longer than that and is read again in every pass

var<private> cell0: Cell;
var<private> cell1: Cell;
var<private> cell2: Cell;
var<private> cell3: Cell;
var<private> cell4: Cell;
var<private> cell5: Cell;
var<private> cell6: Cell;
var<private> cell7: Cell;

// Loads the row into registers, where it fits.
fn fill() {
    if PER > 0u { cell0 = load(row_at); }
    if PER > 1u { cell1 = load(row_at + SEGMENT); }
    if PER > 2u { cell2 = load(row_at + 2u * SEGMENT); }
    if PER > 3u { cell3 = load(row_at + 3u * SEGMENT); }
    if PER > 4u { cell4 = load(row_at + 4u * SEGMENT); }
    if PER > 5u { cell5 = load(row_at + 5u * SEGMENT); }
    if PER > 6u { cell6 = load(row_at + 6u * SEGMENT); }
    if PER > 7u { cell7 = load(row_at + 7u * SEGMENT); }
}

// One pass over the lane's part of the row. What visit returns is kept where the row is in registers.
fn sweep(task: u32) {
    if PER == 0u {
        for (var first = row_at; first < row_quads; first += 16u * SEGMENT) {
            for (var k = first; k < min(first + 16u * SEGMENT, row_quads); k += 4u * SEGMENT) {
                let a = load(k);  // four loads under way; nothing is inside behind the row's end
                let b = load(k + SEGMENT);
                let c = load(k + 2u * SEGMENT);
                let d = load(k + 3u * SEGMENT);
                visit(task, k, a);
                visit(task, k + SEGMENT, b);
                visit(task, k + 2u * SEGMENT, c);
                visit(task, k + 3u * SEGMENT, d);
            }
            settle();
        }
    }
    if PER > 0u { cell0 = visit(task, row_at, cell0); }
    if PER > 1u { cell1 = visit(task, row_at + SEGMENT, cell1); }
    if PER > 2u { cell2 = visit(task, row_at + 2u * SEGMENT, cell2); }
    if PER > 3u { cell3 = visit(task, row_at + 3u * SEGMENT, cell3); }
    if PER > 4u { cell4 = visit(task, row_at + 4u * SEGMENT, cell4); }
    if PER > 5u { cell5 = visit(task, row_at + 5u * SEGMENT, cell5); }
    if PER > 6u { cell6 = visit(task, row_at + 6u * SEGMENT, cell6); }
    if PER > 7u { cell7 = visit(task, row_at + 7u * SEGMENT, cell7); }
    if PER > 0u { settle(); }
}
