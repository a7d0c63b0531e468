/* The account chooser's search: hides what does not match and says how many are left. Without it the list is complete. */
(function(){
  var d=document;
  Array.prototype.forEach.call(d.querySelectorAll('[data-filter]'),function(f){
    var rows=d.getElementById(f.getAttribute('data-filter')).children,say=d.getElementById(f.getAttribute('data-say'));
    f.closest('.field').hidden=false;
    f.addEventListener('input',function(){
      var n=0,q=f.value.trim().toLowerCase();
      Array.prototype.forEach.call(rows,function(r){r.hidden=r.textContent.toLowerCase().indexOf(q)<0;if(!r.hidden)n++});
      say.textContent=q?n+' of '+rows.length+' accounts':'';
    });
  });
})();
