import{B as e,R as t,V as n,a as r,d as i,n as a,p as o,r as s,s as c,y as l,z as u}from"./index-CCB1UJ82.js";import{t as d}from"./useMutation-NVWfVVnK.js";import{n as f,t as p}from"./jobs-cN4dj0yc.js";import{t as m}from"./width-Bnhxdfw3.js";var h=n(e(),1),g=`# A small ViT on 500 of scikit-learn's digits, with dense attention.
# digits-vit-ssa.toml is the same training with subsampled attention; only \`keep\` differs.
task = "image-classification"
seed = 0

[data]
source = "digits"
train_rows = 500
held_out_rows = 300

[model]
d_model = 64
n_layers = 4
n_heads = 4
d_mlp = 128
patch = 2

[subsampling]
keep = 1.0
dense = 0.1

[train]
steps = 1500
batch_size = 50
rate = 1e-3
checkpoint_every = 500
evaluate_every = 250
`,_=`# A small ViT on 500 of scikit-learn's digits, with subsampled attention:
# most of the steps keep a half of the sources, drawn for each image. Only \`keep\` differs from
# digits-vit-dense.toml.
task = "image-classification"
seed = 0

[data]
source = "digits"
train_rows = 500
held_out_rows = 300

[model]
d_model = 64
n_layers = 4
n_heads = 4
d_mlp = 128
patch = 2

[subsampling]
keep = 0.5
dense = 0.1

[train]
steps = 1500
batch_size = 50
rate = 1e-3
checkpoint_every = 500
evaluate_every = 250
`,v=`# A small graph transformer on 1,000 of the molecules that RDKit brings along (polar surface area),
# with subsampled attention: most of the steps keep a half of the atoms as sources. Only \`keep\`
# differs from nci-egt-dense.toml.
task = "molecule-regression"
seed = 0

[data]
source = "nci"
train_rows = 1000
held_out_rows = 500

[model]
d_model = 48
d_edge = 12
n_layers = 3
n_heads = 4
d_mlp = 96

[subsampling]
keep = 0.5
dense = 0.2

[train]
steps = 600
batch_size = 32
rate = 2e-3
checkpoint_every = 200
evaluate_every = 100
`,y=`# A small language model on the sources of Python's standard library whose hidden states keep an
# eighth of their entries after every block but the last.
task = "language-model"
seed = 0

[data]
source = "stdlib"
length = 512

[tokenizer]
size = 4096

[model]
d_model = 192
n_layers = 4
n_heads = 6
n_kv_heads = 6
d_mlp = 512

[topk]
dense_layers = 1
shape = "linear"
share = 0.3

[topk.sites]
block_out = 24

[train]
steps = 600
batch_size = 8
rate = 2e-3
checkpoint_every = 100
evaluate_every = 100
`,b=`# A small language model on the sources of Python's standard library, with subsampled attention:
# four fifths of the steps keep a quarter of the sources, the last fifth is dense. Only \`keep\`
# differs from stdlib-lm-dense.toml.
task = "language-model"
seed = 0

[data]
source = "stdlib"
length = 512

[tokenizer]
size = 4096

[model]
d_model = 192
n_layers = 4
n_heads = 6
n_kv_heads = 6
d_mlp = 512

[subsampling]
keep = 0.25
dense = 0.2

[train]
steps = 600
batch_size = 8
rate = 2e-3
checkpoint_every = 100
evaluate_every = 100
`,x=`# A pre-trained encoder fine-tuned on labelled texts, with subsampled attention: most of the steps
# keep a half of the sources, drawn for each text. Only \`keep\` differs from texts-encoder-dense.toml.
task = "text-classification"
seed = 0

[data]
source = "stdlib"
length = 48

[subsampling]
keep = 0.5
dense = 0.2

[train]
steps = 1000
batch_size = 32
rate = 1e-4
weight_decay = 0.01
checkpoint_every = 250
evaluate_every = 250
`,S=u(),C={"digits-vit-ssa":_,"digits-vit-dense":g,"stdlib-lm-ssa":b,"stdlib-lm-topk":y,"texts-encoder-ssa":x,"nci-egt-ssa":v};function w({begun:e}){let{say:n}=r(),[i,a]=(0,h.useState)(`digits-vit-ssa`),[c,l]=(0,h.useState)(_),u=t(),f=d({mutationFn:()=>o(`/jobs/training`,{name:i,recipe:c}),onSuccess:t=>{u.invalidateQueries({queryKey:[`trainings`]}),e(t.id)}});return(0,S.jsxs)(`details`,{children:[(0,S.jsx)(`summary`,{children:n(`train.new`)}),(0,S.jsxs)(`form`,{onSubmit:e=>{e.preventDefault(),f.mutate()},children:[(0,S.jsxs)(`div`,{className:`row`,children:[(0,S.jsxs)(`label`,{children:[n(`train.new.from`),(0,S.jsx)(`select`,{defaultValue:`digits-vit-ssa`,onChange:e=>{a(e.target.value),l(C[e.target.value])},children:Object.keys(C).map(e=>(0,S.jsx)(`option`,{children:e},e))})]}),(0,S.jsxs)(`label`,{children:[n(`train.new.name`),(0,S.jsx)(`input`,{required:!0,maxLength:100,value:i,onChange:e=>a(e.target.value)})]})]}),(0,S.jsxs)(`label`,{children:[n(`train.new.recipe`),(0,S.jsx)(`textarea`,{className:`code`,rows:16,required:!0,spellCheck:!1,value:c,onChange:e=>l(e.target.value)})]}),(0,S.jsx)(`p`,{className:`quiet`,children:n(`train.new.about`)}),f.error?(0,S.jsx)(s,{error:f.error}):null,(0,S.jsx)(`button`,{className:`primary`,disabled:f.isPending,children:n(f.isPending?`train.new.checking`:`train.new.begin`)})]})]})}var T=300,E={left:46,right:14,top:24,bottom:40};function D({lines:e}){let{say:t,f:n}=r(),[i,a]=m(700),o=e.filter(e=>e.curve.steps.length>1);if(!o.length)return(0,S.jsx)(`p`,{className:`quiet`,children:t(`train.none.yet`)});let s=o.map(e=>e.curve),c=s.flatMap(e=>[...e.steps,...e.evaluations].map(e=>e.loss_nats)),l=c.reduce((e,t)=>Math.min(e,t)),u=Math.max(1e-9,c.reduce((e,t)=>Math.max(e,t))-l),d=Math.max(...s.map(e=>e.of??e.step),1),f=e=>E.left+e/d*(a-E.left-E.right),p=e=>T-E.bottom-(e-l)/u*(T-E.top-E.bottom);return(0,S.jsxs)(`figure`,{className:`chart`,ref:i,children:[(0,S.jsxs)(`svg`,{width:a,height:T,role:`img`,"aria-labelledby":`loss-title`,children:[(0,S.jsx)(`title`,{id:`loss-title`,children:o.map(({name:e,curve:r})=>t(`train.chart.alt`,{name:e,step:r.step,loss:n.number(r.steps.at(-1).loss_nats)})).join(` `)}),(0,S.jsx)(`text`,{className:`axis`,x:0,y:13,children:t(`train.chart.loss`)}),[0,.5,1].map(e=>(0,S.jsxs)(`g`,{className:`grid`,children:[(0,S.jsx)(`line`,{x1:E.left,x2:a-E.right,y1:p(l+e*u),y2:p(l+e*u)}),(0,S.jsx)(`text`,{x:E.left-8,y:p(l+e*u)+4,textAnchor:`end`,children:n.short(l+e*u)})]},e)),[0,.5,1].map(e=>(0,S.jsx)(`text`,{className:`tick`,x:f(e*d),y:278,textAnchor:e===1?`end`:e?`middle`:`start`,children:n.integer(e*d)},e)),(0,S.jsx)(`text`,{className:`axis`,x:a-E.right,y:296,textAnchor:`end`,children:t(`train.chart.step`)}),s[0].events.filter(e=>e.step>0).map((e,t)=>(0,S.jsx)(`line`,{className:`zero`,x1:f(e.step),x2:f(e.step),y1:E.top,y2:T-E.bottom,children:(0,S.jsx)(`title`,{children:`${e.what} (${e.step})`})},t)),s.map((e,t)=>(0,S.jsxs)(`g`,{className:t?`loss other`:`loss`,children:[(0,S.jsx)(`path`,{d:e.steps.map((e,t)=>`${t?`L`:`M`}${f(e.step).toFixed(1)} ${p(e.loss_nats).toFixed(1)}`).join(``)}),e.evaluations.map((e,t)=>(0,S.jsx)(`circle`,{cx:f(e.step),cy:p(e.loss_nats),r:4},t))]},t))]}),(0,S.jsxs)(`figcaption`,{children:[(0,S.jsx)(`span`,{className:`legend`,children:o.map((e,t)=>(0,S.jsxs)(`span`,{children:[(0,S.jsx)(`svg`,{width:`26`,height:`10`,"aria-hidden":`true`,children:(0,S.jsxs)(`g`,{className:t?`loss other`:`loss`,children:[(0,S.jsx)(`path`,{d:`M0 5L26 5`}),(0,S.jsx)(`circle`,{cx:`13`,cy:`5`,r:`4`})]})}),e.name]},t))}),(0,S.jsx)(`span`,{className:`quiet`,children:t(`train.chart.about`)})]})]})}function O({curve:e}){let{say:t,f:n}=r(),[i,a]=c(),o=[...new Set(e.neurons.map(e=>e.step))];if(!o.length)return null;let s=o.indexOf(Number(i.get(`at`))),l=s<0?o.length-1:s,u=o[l];return(0,S.jsxs)(`section`,{children:[(0,S.jsx)(`h2`,{children:t(`train.sites`)}),(0,S.jsx)(`p`,{children:t(`train.sites.about`)}),o.length>1?(0,S.jsxs)(`label`,{className:`inline`,children:[t(`train.sites.step`,{step:n.integer(u)}),(0,S.jsx)(`input`,{type:`range`,min:0,max:o.length-1,value:l,onChange:e=>a({at:o[Number(e.target.value)]})})]}):null,(0,S.jsxs)(`table`,{children:[(0,S.jsx)(`thead`,{children:(0,S.jsxs)(`tr`,{children:[(0,S.jsx)(`th`,{children:t(`train.sites.site`)}),(0,S.jsx)(`th`,{className:`number`,children:`k`}),(0,S.jsx)(`th`,{className:`number`,children:t(`train.sites.dead`)}),(0,S.jsx)(`th`,{className:`number`,children:t(`train.sites.always`)})]})}),(0,S.jsx)(`tbody`,{children:e.neurons.filter(e=>e.step===u).map(e=>(0,S.jsxs)(`tr`,{children:[(0,S.jsx)(`td`,{children:e.site}),(0,S.jsx)(`td`,{className:`number`,children:n.integer(e.k)}),(0,S.jsx)(`td`,{className:`number`,children:n.percent(e.dead)}),(0,S.jsx)(`td`,{className:`number`,children:n.percent(e.always)})]},e.site))})]})]})}var k=5e3,A=e=>!e.curve.events.some(e=>e.what===`finished`||e.what===`diverged`);function j(e){return l({queryKey:[`training`,e],enabled:e!==null,queryFn:({signal:t})=>i(`/trainings/${encodeURIComponent(e)}`,{},t),refetchInterval:({state:{data:e}})=>e?.job?f(e.job):e&&A(e)?k:!1})}function M({id:e,beside:t}){let{say:n,f:i}=r(),o=j(e),c=j(t);if(o.error)return(0,S.jsx)(s,{error:o.error,retry:()=>void o.refetch()});if(!o.data)return(0,S.jsx)(a,{});let{curve:l,job:u,name:d}=o.data,f=l.steps.at(-1),p=[[n(`train.step`),`${i.integer(l.step)}${l.of?` / ${i.integer(l.of)}`:``}`],[n(`train.loss`),i.number(f?.loss_nats,3)],[n(`train.rate`),f?f.lr.toExponential(2):i.number(null)],[n(`train.speed`),l.tokens_per_s===null?i.number(null):i.integer(l.tokens_per_s)],[n(`train.spent`),i.duration(l.wall_s)],[n(`train.left`),l.left_s===null?i.number(null):i.duration(l.left_s)]],m=[{name:d,curve:l}];return c.data&&m.push({name:c.data.name,curve:c.data.curve}),(0,S.jsxs)(S.Fragment,{children:[(0,S.jsxs)(`section`,{children:[(0,S.jsxs)(`h2`,{children:[d,` `,(0,S.jsx)(`span`,{className:u?.state===`done`?`tag good`:`tag`,children:n(u?`train.state.${u.state}`:`train.hand`)})]}),u?(0,S.jsx)(N,{job:u}):(0,S.jsx)(`p`,{className:`quiet`,children:n(`train.hand.about`)}),u?.told?(0,S.jsx)(`pre`,{className:`told-log`,tabIndex:0,role:`region`,"aria-label":u.name,children:u.told}):null,(0,S.jsx)(`div`,{className:`figures tight`,children:p.map(([e,t])=>(0,S.jsxs)(`p`,{children:[(0,S.jsx)(`strong`,{children:t}),(0,S.jsx)(`small`,{children:e})]},e))}),c.error?(0,S.jsx)(s,{error:c.error}):null,(0,S.jsx)(D,{lines:m}),l.events.length?(0,S.jsxs)(`details`,{children:[(0,S.jsx)(`summary`,{children:n(`train.events`)}),(0,S.jsx)(`ul`,{children:l.events.map((e,t)=>(0,S.jsxs)(`li`,{children:[n(`train.event`,{step:i.integer(e.step),what:e.what}),e.time?(0,S.jsxs)(`span`,{className:`quiet`,children:[` `,i.date(e.time)]}):null]},t))})]}):null]}),(0,S.jsx)(O,{curve:l})]})}function N({job:e}){let{say:n}=r(),i=t(),a=d({mutationFn:t=>o(`/jobs/${e.id}/${t}`,{}),onSettled:()=>i.invalidateQueries({queryKey:[`training`,e.id]})});if(p(e))return null;let c=e.state===`running`||e.state===`queued`;return(0,S.jsxs)(S.Fragment,{children:[(0,S.jsxs)(`div`,{className:`row`,children:[e.state===`paused`?(0,S.jsx)(`button`,{className:`primary`,onClick:()=>a.mutate(`resume`),children:n(`train.resume`)}):(0,S.jsx)(`button`,{disabled:!c||a.isPending,onClick:()=>a.mutate(`pause`),children:n(`train.pause`)}),(0,S.jsx)(`button`,{disabled:e.state===`cancelling`,onClick:()=>a.mutate(`cancel`),children:n(`train.cancel`)})]}),a.error?(0,S.jsx)(s,{error:a.error}):null]})}var P=5e3;function F({start:e}){let{say:t}=r(),[n,o]=c(),u=e.role===`operator`||e.role===`admin`,d=l({queryKey:[`trainings`],enabled:u,queryFn:({signal:e})=>i(`/trainings`,{},e),refetchInterval:P}),f=d.data?.trainings??[],p=n.get(`training`)??f[0]?.id??null,m=n.get(`beside`),h=e.machine.missing.train??[];return(0,S.jsxs)(S.Fragment,{children:[(0,S.jsx)(`h1`,{children:t(`train.title`)}),u?null:(0,S.jsx)(`p`,{children:t(`train.role`)}),d.error?(0,S.jsx)(s,{error:d.error,retry:()=>void d.refetch()}):null,u&&d.isPending?(0,S.jsx)(a,{}):null,u&&h.length?(0,S.jsx)(`p`,{className:`notice`,children:t(`train.missing`)}):null,u&&!h.length?(0,S.jsx)(w,{begun:e=>o({training:e,beside:null,at:null},{push:!0})}):null,d.data&&!f.length?(0,S.jsx)(`p`,{children:t(`train.none`)}):null,f.length?(0,S.jsx)(`div`,{className:`row`,children:[`training`,`beside`].map(e=>(0,S.jsxs)(`label`,{children:[t(`train.${e}`),(0,S.jsxs)(`select`,{value:(e===`training`?p:m)??``,onChange:t=>o({[e]:t.target.value,at:null},{push:!0}),children:[e===`beside`?(0,S.jsx)(`option`,{value:``,children:t(`train.alone`)}):null,f.filter(t=>e===`training`||t.id!==p).map(e=>(0,S.jsx)(`option`,{value:e.id,children:e.job?`${e.name} (${e.id.slice(0,4)})`:e.name},e.id))]})]},e))}):null,p&&u?(0,S.jsx)(M,{id:p,beside:m===p?null:m},p):null]})}export{F as default};