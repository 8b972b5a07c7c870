"""The looks of every page."""

STYLE = """
:root{--paper:#f6f7f9;--card:#fff;--ink:#181c24;--soft:#667085;--line:#e3e7ee;--deep:#eef1f5;--red:#d92d3f;
 --redbg:#fdeef0;--amber:#b25e00;--amberbg:#fdf4e3;--green:#127a43;--greenbg:#e8f7ee;--train:#2e5cb8;--val:#b26214;
 --test:#6e40aa}
@media (prefers-color-scheme:dark){:root{--paper:#12151b;--card:#1b1f27;--ink:#e8ebf0;--soft:#98a2b3;
 --line:#2b313c;--deep:#242a34;--red:#ff6b7a;--redbg:#3a1d22;--amber:#ffb84d;--amberbg:#362a15;--green:#4fd08a;
 --greenbg:#15301f;--train:#5b8def;--val:#e08a35;--test:#a478e8}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:36px 24px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:17px;margin:34px 0 12px}
.sub{color:var(--soft);margin:0}
code,.mono{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:22px 0 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.cards b{display:block;white-space:nowrap;font-size:22px;font-weight:650;line-height:1.25;letter-spacing:-.01em;
 font-variant-numeric:tabular-nums}
.card span{color:var(--soft);font-size:13px}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th{font-weight:500;color:var(--soft);text-align:left;font-size:13px;padding:8px 12px;
 border-bottom:1px solid var(--line)}
td{padding:8px 12px;border-bottom:1px solid var(--line);vertical-align:middle}
tr:last-child td{border-bottom:0}
.r{text-align:right}
.nowrap{white-space:nowrap}
.chip{display:inline-block;min-width:30px;padding:2px 8px;border-radius:7px;text-align:center;font-weight:600;
 font-size:14px}
.bar{display:flex;height:10px;border-radius:5px;overflow:hidden;background:var(--deep);min-width:120px}
.bar i{display:block;height:100%}
.train{background:var(--train)}
.val{background:var(--val)}
.test{background:var(--test)}
.pill{display:inline-block;border-radius:6px;padding:0 8px;font-size:12.5px;line-height:20px;color:#fff;
 font-weight:550}
.strip{display:flex;gap:5px;flex-wrap:wrap;max-height:64px;overflow:hidden}
.strip img{width:60px;height:60px;border-radius:6px;display:block}
td code.short{white-space:nowrap}
.scroll{overflow-x:auto;padding:0}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:14px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden;
 display:flex;flex-direction:column}
figure div{background:var(--deep);position:relative;aspect-ratio:4/3}
figure img{position:absolute;inset:0;width:100%;height:100%;object-fit:contain}
figcaption{padding:8px 12px;font-size:13px;display:flex;flex-wrap:wrap;gap:4px 8px;align-items:center}
figcaption .labels{flex-basis:100%}
figcaption .dot:first-child{margin-left:0}
figcaption .name{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.dot{display:inline-block;width:10px;height:10px;border-radius:5px;margin:0 4px 0 8px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:14px}
.verdict{border-radius:12px;padding:14px 18px;margin:22px 0 0;font-weight:550}
.bad{background:var(--redbg);color:var(--red)}
.warn{background:var(--amberbg);color:var(--amber)}
.good{background:var(--greenbg);color:var(--green)}
.level{font-weight:600;font-size:12px;border-radius:6px;padding:1px 8px;text-transform:uppercase;
 letter-spacing:.03em}
.group{background:var(--card);border:1px solid var(--line);border-radius:12px;margin:0 0 12px;overflow:hidden}
.group header{display:flex;gap:12px;align-items:baseline;padding:14px 16px 2px;flex-wrap:wrap}
.group header b{font-size:16px}
.group p{margin:2px 16px 12px}
.look{display:flex;flex-wrap:wrap;gap:8px;padding:0 16px 12px}
.look img{height:112px;width:auto;border-radius:8px;display:block}
.group .cure{color:var(--soft)}
.group details{border-top:1px solid var(--line)}
summary{cursor:pointer;padding:9px 16px;color:var(--soft);font-size:14px}
.group td{font-size:13.5px;padding:5px 16px;vertical-align:top;border-bottom:1px solid var(--line)}
footer{color:var(--soft);font-size:13px;margin-top:36px;overflow-wrap:anywhere}
"""
