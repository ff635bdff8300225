import "./styles/tokens.css";

document.querySelector("#app")?.append("Maquette");
