// Spares people the button.
document.getElementById("leave").submit();
