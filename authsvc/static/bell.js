/* The bell: looks again every minute while the page is visible, and marks seen what it shows. Without it, the page of the
   notifications does. */
(function(){
  var d=document,bell=d.getElementById('bell');if(!bell||!window.fetch)return;
  var bar=bell.querySelector('summary'),badge=bell.querySelector('.badge'),list=bell.querySelector('ul'),seen=bell.querySelector('[data-seen]');
  var say=d.getElementById('bell-says'),unread=+bell.dataset.unread,waiting=null,asked=0,last=Date.now(),timer;
  function make(name,text,cls){var e=d.createElement(name);e.textContent=text;if(cls)e.className=cls;return e}
  function count(n){
    badge.hidden=!n;badge.textContent=n>9?'9+':n;
    bar.setAttribute('aria-label','Notifications'+(n?', '+n+' new':''));
    if(n>unread)say.textContent=n===1?'1 new notification':n+' new notifications';
    unread=n;
  }
  function entry(n){
    var li=make('li','',n.is_new?'new':''),time=make('time',n.time);
    if(n.is_new)li.append(make('span','New: ','vh'),make('strong',n.title));else li.append(n.title);
    if(n.text)li.append(' ',n.text);
    if(n.link){var a=make('a',n.label);a.href=n.link;li.append(' ',a)}
    time.dateTime=n.iso;time.className='nowrap';
    var when=make('span','','when small muted');when.append(time);li.append(when);return li;
  }
  function show(found){
    // Not under the hands of whoever reads it.
    if(bell.open){waiting=found;return}
    waiting=null;seen.dataset.upTo=found.items.length?found.items[0].id:'';
    list.replaceChildren.apply(list,found.items.length?found.items.map(entry):[make('li','Nothing new','muted')]);
  }
  function look(){
    if(d.hidden)return;
    var mine=++asked;last=Date.now();
    fetch(bell.dataset.latest,{headers:{Accept:'application/json'},credentials:'same-origin'}).then(function(answer){
      // Signed out meanwhile: the next click says so.
      if(answer.status===401)clearInterval(timer);
      return answer.ok?answer.json():null;
    }).then(function(found){if(found&&mine===asked){count(found.unread);show(found)}}).catch(function(){});
  }
  bell.addEventListener('toggle',function(){
    if(!bell.open){if(waiting)show(waiting);return}
    if(!unread||!seen.dataset.upTo)return;
    var said=new URLSearchParams({up_to:seen.dataset.upTo,csrf_token:seen.querySelector('[name=csrf_token]').value});
    asked++;count(0);
    fetch(seen.dataset.seen,{method:'POST',body:said,credentials:'same-origin',keepalive:true}).catch(function(){});
  });
  d.addEventListener('visibilitychange',function(){if(!d.hidden&&Date.now()-last>=60000)look()});
  timer=setInterval(look,60000);
})();
