/* Progressive enhancement only: every page works with this file missing. */
(function(){
  var d=document,root=d.documentElement;root.classList.add('js');
  function all(s,f){Array.prototype.forEach.call(d.querySelectorAll(s),f)}
  // 1. Errors: move focus to the summary so it is read first.
  var sum=d.querySelector('.summary');if(sum)sum.focus();
  // 2. Show / hide password. The field goes back to hidden on submit so browsers still offer to save it.
  all('[data-peek]',function(b){
    var f=d.getElementById(b.getAttribute('data-peek')),say=d.getElementById(b.getAttribute('data-say'));
    function set(show){f.type=show?'text':'password';b.textContent=show?'Hide':'Show';
      b.setAttribute('aria-label',show?'Hide password':'Show password');if(say)say.textContent=show?'Your password is visible':'Your password is hidden'}
    b.hidden=false;b.addEventListener('click',function(){set(f.type==='password');f.focus()});
    f.form.addEventListener('submit',function(){if(f.type==='text')set(false)});
  });
  // 3. Code field: keep digits only, so "123 456" pastes cleanly; full-width digits count (NFKC). No auto-submit.
  all('[data-digits]',function(f){
    function tidy(e){if(e.isComposing)return;
      var v=f.value.normalize('NFKC').replace(/\D/g,'').slice(0,+f.getAttribute('data-digits'));if(v!==f.value)f.value=v}
    f.addEventListener('input',tidy);f.addEventListener('compositionend',tidy)});
  // 4. One submit per page load; stays focusable, the server also de-duplicates.
  all('form[data-once]',function(f){f.addEventListener('submit',function(e){
    if(f.hasAttribute('data-sent')){e.preventDefault();return}
    f.setAttribute('data-sent','');var b=e.submitter||f.querySelector('[type=submit]');
    if(b&&b.dataset.busy){b.dataset.was=b.textContent;b.textContent=b.dataset.busy;b.setAttribute('aria-disabled','true')}
  })});
  addEventListener('pageshow',function(e){if(e.persisted)all('form[data-sent]',function(f){
    f.removeAttribute('data-sent');var b=f.querySelector('[data-was]');
    if(b){b.textContent=b.dataset.was;b.removeAttribute('aria-disabled')}})});
  // 5. Resend wait: counts down quietly, speaks once when it is over. By the clock: a sleeping tab gets no ticks.
  all('[data-wait]',function(p){
    var end=Date.now()+p.getAttribute('data-wait')*1000,out=p.querySelector('[data-left]'),t;
    var b=d.getElementById(p.getAttribute('data-for')),say=d.getElementById(p.getAttribute('data-say'));
    function tick(){var left=Math.ceil((end-Date.now())/1000);
      if(left>0){out.textContent=left>59?Math.floor(left/60)+' min '+left%60+' s':left+' s';return}
      clearInterval(t);b.removeAttribute('aria-disabled');p.hidden=true;say.textContent='You can ask for a new code now.'}
    b.setAttribute('aria-disabled','true');b.addEventListener('click',function(e){if(Date.now()<end)e.preventDefault()});
    t=setInterval(tick,1000);tick();
  });
  // 6. Unsaved changes hint in settings.
  all('form[data-dirty]',function(f){var m=d.getElementById(f.getAttribute('data-dirty'));
    f.addEventListener('input',function(){m.textContent='You have unsaved changes.'})});
  // A box that chooses another one too; the server does so in any case.
  all('[data-implies]',function(b){var other=d.getElementById(b.getAttribute('data-implies'));
    function tick(){if(b.checked)other.checked=true}
    b.addEventListener('change',tick);other.addEventListener('change',tick)});
  // 7. Menus made of <details>: Escape and outside click close them.
  d.addEventListener('keydown',function(e){if(e.key==='Escape')all('details.menu[open]',function(m){m.open=false;m.querySelector('summary').focus()})});
  d.addEventListener('click',function(e){all('details.menu[open]',function(m){if(!m.contains(e.target))m.open=false})});
  // 8. Android Chrome: fill the texted code when the person allows it.
  var otp=d.querySelector('[data-webotp]');
  if(otp&&'OTPCredential' in window){var ac=new AbortController();otp.form.addEventListener('submit',function(){ac.abort()});
    navigator.credentials.get({otp:{transport:['sms']},signal:ac.signal}).then(function(c){if(c)otp.value=c.code}).catch(function(){})}
  // 9. form_post: on to the client by itself.
  all('form[data-auto]',function(f){f.submit()});
  // 10. Consent: a click aimed at what stood here a moment ago does not count.
  all('[data-hold]',function(p){var t=Date.now()+600;p.addEventListener('click',function(e){if(Date.now()<t)e.preventDefault()},true)});
  // 11. Rows that change by themselves: fetched while the page is seen and something is under way; one sentence for what is done.
  all('[data-live-rows]',function(p){
    var say=d.getElementById(p.getAttribute('data-say')),busy=false;
    function box(){return d.getElementById(p.getAttribute('data-into'))}
    function statuses(b){var s={};Array.prototype.forEach.call(b.querySelectorAll('[data-row]'),function(r){s[r.dataset.row]=r.dataset.status});return s}
    function swap(text){
      var fresh=new DOMParser().parseFromString(text,'text/html').getElementById(p.getAttribute('data-into')),old=box();
      if(!fresh||fresh.outerHTML===old.outerHTML)return;
      var before=statuses(old),focus=d.activeElement&&old.contains(d.activeElement)?d.activeElement.id:'';
      old.replaceWith(fresh);if(focus&&d.getElementById(focus))d.getElementById(focus).focus();
      var news=[];Array.prototype.forEach.call(fresh.querySelectorAll('[data-row]'),function(r){
        if(before[r.dataset.row]==='processing'&&r.dataset.status==='ready')news.push(r.dataset.name+' is ready to download.');
        if(before[r.dataset.row]==='processing'&&r.dataset.status==='failed')news.push(r.dataset.name+' failed.')});
      if(news.length)say.textContent=news.join(' ')}
    setInterval(function(){
      if(busy||d.hidden||!box().hasAttribute('data-live'))return;
      busy=true;fetch(p.getAttribute('data-live-rows'),{credentials:'same-origin',redirect:'error'}).then(function(a){return a.ok?a.text():''})
        .then(function(t){if(t)swap(t)}).catch(function(){}).then(function(){busy=false})},+(p.getAttribute('data-every')||20)*1000)});
})();
